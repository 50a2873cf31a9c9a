// An HTTP server and its clients, with a task per request, regions and logs.
package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"runtime/trace"
	"strconv"
	"sync"
)

type counter struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *counter) add(ctx context.Context, key string) int {
	defer trace.StartRegion(ctx, "count").End()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[key]++
	return c.count[key]
}

func program(out io.Writer, size int) error {
	var failed error
	err := traced(out, func() { failed = serve(size) })
	if err == nil {
		err = failed
	}
	return err
}

func serve(size int) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c := &counter{count: map[string]int{}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, task := trace.NewTask(r.Context(), "request")
		defer task.End()
		n := c.add(ctx, r.URL.Path)
		trace.Log(ctx, "path", r.URL.Path)
		trace.WithRegion(ctx, "answer", func() { json.NewEncoder(w).Encode(map[string]int{"n": n}) })
	})}
	go server.Serve(listener)
	url := "http://" + listener.Addr().String() + "/"
	var clients sync.WaitGroup
	for id := range 3 {
		clients.Go(func() {
			ctx, task := trace.NewTask(context.Background(), "client "+strconv.Itoa(id))
			defer task.End()
			for n := range 8 * size {
				ask(ctx, url+strconv.Itoa(n%3))
			}
		})
	}
	clients.Wait()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	return server.Shutdown(context.Background())
}

func ask(ctx context.Context, url string) {
	defer trace.StartRegion(ctx, "ask").End()
	answer, err := http.Get(url)
	if err != nil {
		trace.Logf(ctx, "error", "%v", err)
		return
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
}
