// Mutexes under contention, readers and writers, condition variables with one and all waiters woken, once, wait groups.
package main

import (
	"io"
	"runtime"
	"sync"
)

func program(out io.Writer, size int) error {
	return traced(out, func() {
		contend(80 * size)
		readers(40 * size)
		conditions(60 * size)
		once(10 * size)
	})
}

func contend(rounds int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for n := range rounds {
				mu.Lock()
				if n%4 == 0 {
					runtime.Gosched()
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func readers(rounds int) {
	var mu sync.RWMutex
	var all sync.WaitGroup
	for id := range 6 {
		all.Go(func() {
			for range rounds {
				if id == 0 {
					mu.Lock()
					runtime.Gosched()
					mu.Unlock()
				} else {
					mu.RLock()
					runtime.Gosched()
					mu.RUnlock()
				}
			}
		})
	}
	all.Wait()
}

func conditions(rounds int) {
	var mu sync.Mutex
	changed := sync.NewCond(&mu)
	turn := 0
	var all sync.WaitGroup
	for id := range 3 {
		all.Go(func() {
			for range rounds {
				mu.Lock()
				for turn%3 != id {
					changed.Wait()
				}
				turn++
				if turn%2 == 0 {
					changed.Broadcast()
				} else {
					// One waiter is not always the right one, so it passes the word on.
					changed.Signal()
					changed.Signal()
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func once(rounds int) {
	for range rounds {
		var first sync.Once
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { first.Do(runtime.Gosched) })
		}
		all.Wait()
	}
}
