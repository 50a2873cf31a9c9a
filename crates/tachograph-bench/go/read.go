// Reads a trace with Go's own ordered reader, for `tachograph-bench read`: the loop that every Go tool is built on, and nothing else.
// Built together with the reader's sources out of the installed toolchain.
//
// usage: read FILE
//
// Prints one line: events, nanoseconds, nanoseconds of CPU time, allocations, most resident bytes, with tabs between.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"tachograph/read/trace"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: read FILE")
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		return err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	reader, err := trace.NewReader(bufio.NewReaderSize(file, 1<<20))
	if err != nil {
		return err
	}
	events := 0
	for {
		if _, err := reader.ReadEvent(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		events++
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	resident, err := mostResident()
	if err != nil {
		return err
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	cpu := usage.Utime.Nano() + usage.Stime.Nano()
	fmt.Printf("%d\t%d\t%d\t%d\t%d\n", events, took.Nanoseconds(), cpu, after.Mallocs-before.Mallocs, resident)
	return nil
}

func mostResident() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for _, line := range bytes.Split(status, []byte("\n")) {
		if rest, found := bytes.CutPrefix(line, []byte("VmHWM:")); found {
			kilobytes, err := strconv.ParseUint(string(bytes.Fields(rest)[0]), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmHWM")
}
