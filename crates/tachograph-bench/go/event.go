// Measures what Go's own annotations cost, for `tachograph-bench event`.
// Prints one line a variant: name, tab, median ns, tab, min ns per operation.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/trace"
	"sort"
	"time"
)

const (
	rounds = 300
	batch  = 1000
)

type variant struct {
	name string
	op   func()
	ns   []float64
}

func (v *variant) round() {
	start := time.Now()
	for range batch {
		v.op()
	}
	v.ns = append(v.ns, float64(time.Since(start).Nanoseconds())/batch)
}

func interleave(variants []*variant) {
	for range rounds {
		for _, v := range variants {
			v.round()
		}
	}
	for _, v := range variants {
		sort.Float64s(v.ns)
		fmt.Printf("%s\t%.2f\t%.2f\n", v.name, v.ns[len(v.ns)/2], v.ns[0])
	}
}

func main() {
	runtime.LockOSThread()
	ctx := context.Background()
	region := func() { trace.StartRegion(ctx, "bench").End() }
	log := func() { trace.Log(ctx, "bench", "id=42") }
	task := func() {
		_, t := trace.NewTask(ctx, "bench")
		t.End()
	}
	interleave([]*variant{
		{name: "Go off: region begin + end", op: region},
		{name: "Go off: log", op: log},
	})
	if err := trace.Start(io.Discard); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	interleave([]*variant{
		{name: "Go region begin + end, with stacks", op: region},
		{name: "Go task begin + end, with stacks", op: task},
		{name: "Go log, with stack", op: log},
	})
	trace.Stop()
}
