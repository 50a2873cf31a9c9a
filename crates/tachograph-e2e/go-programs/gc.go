// Garbage collection under stress; the trace starts in the middle of a cycle.
package main

import (
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

type node struct {
	left, right *node
	pad         [6]uint64
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func program(out io.Writer, size int) error {
	debug.SetGCPercent(-1)
	kept := tree(16)
	// Marking this takes long enough for the trace to start meanwhile.
	large := tree(18)
	debug.SetGCPercent(20)
	// The heap is over its goal, so this starts a cycle, in the background.
	runtime.KeepAlive(make([]byte, 1<<20))
	err := traced(out, func() {
		runtime.KeepAlive(large)
		large = nil
		for before := cycles(); cycles() < before+uint64(2*size); {
			stress()
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
	})
	runtime.KeepAlive(kept)
	return err
}

// stress allocates on more goroutines than there are slots, so that some have to help marking.
func stress() {
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { runtime.KeepAlive(tree(12)) })
	}
	all.Go(func() { runtime.KeepAlive(make([]byte, 1<<20)) })
	all.Wait()
}

// cycles is how many have been completed; to ask does not stop the world.
func cycles() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
