// Tasks within tasks, regions of many tasks on one goroutine, ends on other goroutines, ends without begins, begins without ends, and
// texts that are hard to print.
package main

import (
	"context"
	"fmt"
	"io"
	"runtime/trace"
	"strings"
	"sync"
	"time"
)

var texts = []string{
	"plain", "", "two words", "tab\tand\nnewline", `"quoted" \ back`, "käse ☕ 日本", "bad \xff\xfe utf-8", "zero \x00 byte",
	"\u202e right to left \u200b", "\x7f\x1b[31m", strings.Repeat("long ", 300), "\U0010ffff \ufffd \u00a0 \u2028",
}

func program(out io.Writer, size int) error {
	ctx, before := trace.NewTask(context.Background(), "before the trace")
	open := trace.StartRegion(ctx, "before the trace")
	return traced(out, func() {
		trace.Log(ctx, "task", "unknown")
		open.End()
		before.End()
		for n := range 3 * size {
			nest(context.Background(), 4, n)
		}
		across(8 * size)
		for _, text := range texts {
			odd(text)
			time.Sleep(time.Millisecond)
		}
		trace.StartRegion(context.Background(), "never ended")
		trace.NewTask(context.Background(), "never ended")
	})
}

func nest(ctx context.Context, depth, n int) {
	ctx, task := trace.NewTask(ctx, fmt.Sprint("level ", depth))
	defer task.End()
	defer trace.StartRegion(ctx, fmt.Sprint("region ", depth)).End()
	trace.Logf(ctx, "depth", "%d of %d", depth, n)
	if depth == 0 {
		return
	}
	var all sync.WaitGroup
	all.Go(func() { nest(ctx, depth-1, n) })
	// On one goroutine, regions of two tasks within each other.
	other, end := trace.NewTask(context.Background(), "other")
	trace.WithRegion(other, "other", func() {
		trace.WithRegion(ctx, "own", func() { all.Wait() })
	})
	end.End()
}

// across begins tasks on one goroutine and ends them on another, some of them twice.
func across(tasks int) {
	begun := make(chan *trace.Task, 2)
	go func() {
		for n := range tasks {
			ctx, task := trace.NewTask(context.Background(), "handed over")
			trace.Log(ctx, "", fmt.Sprint(n))
			begun <- task
		}
		close(begun)
	}()
	for task := range begun {
		task.End()
	}
}

func odd(text string) {
	ctx, task := trace.NewTask(context.Background(), text)
	defer task.End()
	defer trace.StartRegion(ctx, text).End()
	trace.Log(ctx, text, text)
}
