// System calls that block, so that their slots are stolen, and pipes. Two goroutines sit in one read over many generations: one since
// before the trace, one until after it.
package main

import (
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

func program(out io.Writer, size int) error {
	early, err := sit()
	if err != nil {
		return err
	}
	late, err := sit()
	if err != nil {
		return err
	}
	err = traced(out, func() {
		time.Sleep(2 * time.Millisecond)
		block(12 * size)
		early.wake()
		short(200 * size)
		pipes(40 * size)
		time.Sleep(2 * time.Millisecond)
	})
	late.wake()
	return err
}

// sitter is a goroutine in a read that the runtime's poller does not know of.
type sitter struct {
	pipe [2]int
	done chan struct{}
}

func sit() (*sitter, error) {
	s := &sitter{done: make(chan struct{})}
	if err := syscall.Pipe(s.pipe[:]); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.done)
		var b [1]byte
		syscall.Read(s.pipe[0], b[:])
	}()
	time.Sleep(5 * time.Millisecond)
	return s, nil
}

func (s *sitter) wake() {
	syscall.Write(s.pipe[1], []byte{1})
	<-s.done
}

// block keeps more threads in the kernel than there are slots.
func block(rounds int) {
	var all sync.WaitGroup
	for id := range 6 {
		all.Go(func() {
			nap := syscall.NsecToTimespec(int64(100+50*id) * 1000)
			for range rounds {
				syscall.Nanosleep(&nap, nil)
			}
		})
	}
	// Without work for the slots nobody would steal them.
	all.Go(func() {
		sum := 0
		for n := range 2_000_000 * rounds / 12 {
			sum += n
		}
		_ = sum
	})
	all.Wait()
}

func short(rounds int) {
	for range rounds {
		syscall.Getppid()
		os.Getwd()
	}
}

func pipes(rounds int) {
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	var all sync.WaitGroup
	all.Go(func() {
		defer w.Close()
		for range rounds {
			w.Write([]byte("through the pipe"))
			time.Sleep(10 * time.Microsecond)
		}
	})
	all.Go(func() { io.Copy(io.Discard, r) })
	all.Wait()
	r.Close()
}
