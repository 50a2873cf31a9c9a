// Allocations and frees as experimental events; to be run with GODEBUG=traceallocfree=1.
package main

import (
	"io"
	"runtime"
	"sync"
)

type leaf struct{ value [3]uint64 }

var sink *leaf

func program(out io.Writer, size int) error {
	return traced(out, func() {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for n := range 60 * size {
					sink = &leaf{value: [3]uint64{uint64(n)}}
					grow(n % 8)
				}
			})
		}
		all.Wait()
		runtime.GC()
		runtime.KeepAlive(make([]byte, 3<<20))
		runtime.GC()
	})
}

// grow makes stacks of different sizes come and go.
func grow(depth int) {
	done := make(chan int)
	go func() { done <- recurse(depth) }()
	<-done
}

//go:noinline
func recurse(depth int) int {
	var pad [700]byte
	if depth == 0 {
		return int(pad[0])
	}
	return recurse(depth-1) + int(pad[depth])
}
