// Goroutines that own their threads, end by Goexit or a recovered panic, compute until they are preempted, and leave finalizers behind.
package main

import (
	"io"
	"runtime"
	"sync"
)

func program(out io.Writer, size int) error {
	return traced(out, func() {
		locked(10 * size)
		ends(20 * size)
		preempted(2 * size)
		finalized(20 * size)
	})
}

func locked(rounds int) {
	var all sync.WaitGroup
	values := make(chan int)
	for id := range 3 {
		all.Go(func() {
			runtime.LockOSThread()
			for range rounds {
				if id == 0 {
					values <- 1
					values <- 2
				} else {
					<-values
				}
			}
			if id != 1 {
				runtime.UnlockOSThread()
			}
			// The second one's thread ends with it.
		})
	}
	all.Wait()
}

func ends(rounds int) {
	var all sync.WaitGroup
	for n := range rounds {
		all.Go(func() {
			defer func() { recover() }()
			if n%2 == 0 {
				runtime.Goexit()
			}
			var none []int
			_ = none[n]
		})
	}
	all.Wait()
}

func preempted(rounds int) {
	var all sync.WaitGroup
	for id := range 5 {
		all.Go(func() {
			sum := 0
			for n := range 20_000_000 * rounds {
				sum += n * id
			}
			runtime.KeepAlive(sum)
		})
	}
	all.Wait()
}

func finalized(rounds int) {
	var done sync.WaitGroup
	for range rounds {
		done.Add(1)
		value := new([4]int)
		runtime.AddCleanup(value, func(int) { done.Done() }, 0)
	}
	all := make(chan struct{})
	go func() {
		done.Wait()
		close(all)
	}()
	for {
		select {
		case <-all:
			return
		default:
			// Sooner or later the collector runs by itself.
			runtime.KeepAlive(make([]byte, 1<<18))
		}
	}
}
