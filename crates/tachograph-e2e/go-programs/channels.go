// Channels: ping-pong, select with and without default, buffered channels that run full, close, and goroutines that come and go.
package main

import (
	"io"
	"sync"
)

func program(out io.Writer, size int) error {
	return traced(out, func() {
		pingPong(100 * size)
		selects(60 * size)
		pipeline(50 * size)
	})
}

func pingPong(rounds int) {
	ping, pong := make(chan int), make(chan int)
	go func() {
		defer close(pong)
		for n := range ping {
			pong <- n + 1
		}
	}()
	for n := range rounds {
		ping <- n
		<-pong
	}
	close(ping)
	<-pong
}

func selects(rounds int) {
	left, right, quit := make(chan int), make(chan string, 1), make(chan struct{})
	var producers sync.WaitGroup
	producers.Go(func() {
		for n := range rounds {
			left <- n
		}
	})
	producers.Go(func() {
		for range rounds {
			select {
			case right <- "right":
			default:
				right <- "late"
			}
		}
	})
	go func() {
		producers.Wait()
		close(quit)
	}()
	for {
		select {
		case <-left:
		case <-right:
		case <-quit:
			return
		}
	}
}

func pipeline(items int) {
	first, second := make(chan int, 4), make(chan int, 4)
	var stage sync.WaitGroup
	for range 3 {
		stage.Go(func() {
			for n := range first {
				answer := make(chan int)
				go func() { answer <- n * n }()
				second <- <-answer
			}
		})
	}
	go func() {
		for n := range items {
			first <- n
		}
		close(first)
		stage.Wait()
		close(second)
	}()
	for range second {
	}
}
