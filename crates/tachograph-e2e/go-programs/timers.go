// Sleepers, tickers, timers that are stopped and reset, deadlines, and the network poller.
package main

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

func program(out io.Writer, size int) error {
	var failed error
	err := traced(out, func() {
		var all sync.WaitGroup
		for id := range 5 {
			all.Go(func() {
				for range 8 * size {
					time.Sleep(time.Duration(50+37*id) * time.Microsecond)
				}
			})
		}
		all.Go(func() { tick(10 * size) })
		all.Go(func() { deadlines(6 * size) })
		all.Go(func() { failed = network(12 * size) })
		all.Wait()
	})
	if err == nil {
		err = failed
	}
	return err
}

func tick(rounds int) {
	ticker := time.NewTicker(200 * time.Microsecond)
	defer ticker.Stop()
	timer := time.NewTimer(time.Hour)
	for n := range rounds {
		<-ticker.C
		if n%2 == 0 {
			timer.Stop()
		}
		timer.Reset(time.Hour)
	}
}

func deadlines(rounds int) {
	for range rounds {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Microsecond)
		done := make(chan struct{})
		time.AfterFunc(100*time.Microsecond, func() { close(done) })
		<-done
		<-ctx.Done()
		cancel()
	}
}

func network(rounds int) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	var b [8]byte
	for n := range rounds {
		if n%3 == 2 {
			// Nothing comes: the poller's own deadline wakes the reader.
			conn.SetReadDeadline(time.Now().Add(200 * time.Microsecond))
			conn.Read(b[:])
			conn.SetReadDeadline(time.Time{})
			continue
		}
		if _, err := conn.Write(b[:]); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			return err
		}
	}
	return nil
}
