// A CPU profile is on: samples in the trace, of goroutines, of the garbage collector, and of threads without a slot.
package main

import (
	"context"
	"crypto/sha256"
	"io"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"time"
)

func program(out io.Writer, size int) error {
	runtime.SetCPUProfileRate(500)
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return traced(out, func() {
		var all sync.WaitGroup
		for id := range 3 {
			all.Go(func() { hot(id, time.Duration(60*size)*time.Millisecond) })
		}
		all.Wait()
	})
}

func hot(id int, long time.Duration) {
	ctx, task := trace.NewTask(context.Background(), "hot")
	defer task.End()
	end := time.Now().Add(long)
	block := make([]byte, 1<<16)
	for n := 0; time.Now().Before(end); n++ {
		trace.WithRegion(ctx, "round", func() {
			pprof.Do(ctx, pprof.Labels("kind", "hash"), func(context.Context) {
				for range 40 {
					sum := sha256.Sum256(block)
					block[0] = sum[0]
				}
			})
		})
		if id == 0 && n%16 == 0 {
			deep(60, func() { runtime.KeepAlive(make([]*int, 1<<16)) })
		}
		runtime.Gosched()
	}
}

//go:noinline
func deep(levels int, leaf func()) {
	if levels == 0 {
		leaf()
		return
	}
	deep(levels-1, leaf)
}
