// Garbage collection under stress; the trace starts in the middle of a cycle.
package main

import (
	"io"
	"runtime"
	"runtime/debug"
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
	large := tree(19)
	debug.SetGCPercent(20)
	// The heap is over its goal, so this starts a cycle, in the background.
	runtime.KeepAlive(make([]byte, 1<<20))
	err := traced(out, func() {
		runtime.KeepAlive(large)
		large = nil
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				for range 2 * size {
					runtime.KeepAlive(tree(12))
				}
			})
		}
		all.Go(func() {
			for range 4 * size {
				runtime.KeepAlive(make([]byte, 1<<20))
			}
		})
		all.Wait()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		debug.FreeOSMemory()
	})
	runtime.KeepAlive(kept)
	return err
}
