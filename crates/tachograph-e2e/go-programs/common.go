// What the recorded programs share. Each program is one file of this folder, built together with this one.
//
// usage: PROGRAM OUT SIZE
//
// A program works for about as long as SIZE says, in steps of its own, and leaves one trace in OUT.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime/trace"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: PROGRAM OUT SIZE")
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	file, err := os.Create(args[0])
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	if err := program(out, size); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// traced runs work with tracing on.
func traced(out io.Writer, work func()) error {
	if err := trace.Start(out); err != nil {
		return err
	}
	work()
	trace.Stop()
	return nil
}
