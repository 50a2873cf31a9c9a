// Tracing goes on and off under load; the last trace is kept. Its generations do not begin at 1.
package main

import (
	"io"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func program(out io.Writer, size int) error {
	var quit atomic.Bool
	var all sync.WaitGroup
	values := make(chan int)
	all.Go(func() {
		defer close(values)
		for !quit.Load() {
			values <- 1
			time.Sleep(20 * time.Microsecond)
		}
	})
	all.Go(func() {
		for range values {
		}
	})
	for range 4 {
		all.Go(func() {
			nap := syscall.NsecToTimespec(80_000)
			for !quit.Load() {
				syscall.Nanosleep(&nap, nil)
			}
		})
	}
	var err error
	for range 5 {
		if err = trace.Start(io.Discard); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
		trace.Stop()
	}
	if err == nil {
		err = traced(out, func() { time.Sleep(time.Duration(12*size) * time.Millisecond) })
	}
	quit.Store(true)
	all.Wait()
	return err
}
