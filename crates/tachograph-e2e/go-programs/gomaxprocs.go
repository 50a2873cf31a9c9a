// The number of slots goes up and down, from 1 to 16, under goroutines that compute, yield, block and call the system.
package main

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func program(out io.Writer, size int) error {
	var quit atomic.Bool
	var all sync.WaitGroup
	for id := range 6 {
		all.Go(func() { work(id, &quit) })
	}
	err := traced(out, func() {
		for range size {
			for _, procs := range []int{1, 2, 3, 5, 8, 16, 13, 7, 4, 1, 16, 2} {
				runtime.GOMAXPROCS(procs)
				time.Sleep(time.Millisecond)
			}
		}
	})
	quit.Store(true)
	all.Wait()
	return err
}

func work(id int, quit *atomic.Bool) {
	sum := 0
	for !quit.Load() {
		for n := range 100_000 {
			sum += n ^ id
		}
		switch id {
		case 0, 1:
			runtime.Gosched()
		case 2, 3:
			time.Sleep(100 * time.Microsecond)
		case 4:
			syscall.Getppid()
		}
	}
	_ = sum
}
