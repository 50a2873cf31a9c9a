// A flight recorder's snapshot, taken under load after several generations: it begins in the middle of a program's life.
package main

import (
	"context"
	"io"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"time"
)

func program(out io.Writer, size int) error {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 5 * time.Millisecond, MaxBytes: uint64(size) << 20})
	if err := recorder.Start(); err != nil {
		return err
	}
	defer recorder.Stop()
	var quit atomic.Bool
	var all sync.WaitGroup
	ctx, task := trace.NewTask(context.Background(), "service")
	outer := trace.StartRegion(ctx, "outer")
	for range 4 {
		all.Go(func() {
			for !quit.Load() {
				step(ctx)
			}
		})
	}
	time.Sleep(60 * time.Millisecond)
	_, err := recorder.WriteTo(out)
	outer.End()
	task.End()
	quit.Store(true)
	all.Wait()
	return err
}

func step(ctx context.Context) {
	defer trace.StartRegion(ctx, "step").End()
	answer := make(chan int)
	go func() { answer <- 1 }()
	trace.Log(ctx, "answer", string(rune('a'+<-answer)))
	time.Sleep(200 * time.Microsecond)
}
