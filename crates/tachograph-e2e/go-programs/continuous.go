// One generation after the other without a pause, under a bit of everything.
package main

import (
	"context"
	"io"
	"os"
	"runtime"
	"runtime/trace"
	"sync"
	"syscall"
	"time"
)

func program(out io.Writer, size int) error {
	return traced(out, func() {
		ctx, task := trace.NewTask(context.Background(), "across generations")
		defer task.End()
		var all sync.WaitGroup
		var mu sync.Mutex
		values := make(chan int)
		all.Go(func() {
			defer close(values)
			for n := range 30 * size {
				values <- n
			}
		})
		all.Go(func() {
			for range values {
				trace.WithRegion(ctx, "value", func() { mu.Lock(); mu.Unlock() })
			}
		})
		all.Go(func() {
			nap := syscall.NsecToTimespec(150_000)
			for range 5 * size {
				syscall.Nanosleep(&nap, nil)
				trace.Log(ctx, "slept", "in the kernel")
			}
		})
		all.Go(func() {
			for range 5 * size {
				time.Sleep(100 * time.Microsecond)
				os.Getppid()
				mu.Lock()
				runtime.Gosched()
				mu.Unlock()
			}
		})
		all.Go(func() {
			for n := range size {
				runtime.KeepAlive(make([]byte, 3<<20))
				runtime.GOMAXPROCS(2 + n%3)
			}
		})
		all.Wait()
	})
}
