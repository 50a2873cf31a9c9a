// Coroutines: iterators that are pulled to their end, stopped early, nested, dropped, and passed between goroutines.
package main

import (
	"io"
	"iter"
	"runtime"
	"sync"
)

func count(to int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := range to {
			if !yield(n) {
				return
			}
		}
	}
}

func program(out io.Writer, size int) error {
	// Begun before the trace.
	early, stopEarly := iter.Pull(count(1000))
	early()
	return traced(out, func() {
		for range 10 {
			early()
		}
		stopEarly()
		exhaust(60 * size)
		early2(20 * size)
		nested(20 * size)
		passed(40 * size)
		waiting(20 * size)
	})
}

func exhaust(length int) {
	next, stop := iter.Pull(count(length))
	defer stop()
	for {
		if _, more := next(); !more {
			return
		}
	}
}

// early2 stops iterators in their middle, and some before they began.
func early2(rounds int) {
	for n := range rounds {
		next, stop := iter.Pull(count(10))
		for range n % 4 {
			next()
		}
		stop()
	}
}

// nested pulls from an iterator that pulls from another.
func nested(length int) {
	doubled := func(yield func(int, int) bool) {
		next, stop := iter.Pull(count(length))
		defer stop()
		for n, more := next(); more; n, more = next() {
			if !yield(n, 2*n) {
				return
			}
		}
	}
	next, stop := iter.Pull2(doubled)
	defer stop()
	for _, _, more := next(); more; _, _, more = next() {
	}
}

// passed lets goroutines take turns with one iterator.
func passed(length int) {
	next, stop := iter.Pull(count(length))
	defer stop()
	turn := make(chan struct{}, 1)
	turn <- struct{}{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range turn {
				_, more := next()
				runtime.Gosched()
				if !more {
					close(turn)
					return
				}
				turn <- struct{}{}
			}
		})
	}
	all.Wait()
}

// waiting pulls from an iterator that blocks and is preempted between its values.
func waiting(length int) {
	values := make(chan int)
	go func() {
		defer close(values)
		for n := range length {
			values <- n
		}
	}()
	next, stop := iter.Pull(func(yield func(int) bool) {
		for n := range values {
			runtime.Gosched()
			if !yield(n) {
				return
			}
		}
	})
	defer stop()
	for _, more := next(); more; _, more = next() {
	}
}
