// Writes big traces for `tachograph-bench read --make DIR`.
//
// usage: traces http|channel FILE MEGABYTES
//
// The program works until the trace has grown to MEGABYTES, at the generation period that Go has by default, one second.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/trace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// counted is a file that knows how much was written to it and says when that is enough.
type counted struct {
	file  *bufio.Writer
	bytes atomic.Int64
	most  int64
	full  chan struct{}
	once  sync.Once
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.file.Write(b)
	if c.bytes.Add(int64(n)) >= c.most {
		c.once.Do(func() { close(c.full) })
	}
	return n, err
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "traces:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	works := map[string]func(context.Context) error{"http": service, "channel": channels}
	if len(args) != 3 || works[args[0]] == nil {
		return fmt.Errorf("usage: traces http|channel FILE MEGABYTES")
	}
	megabytes, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	file, err := os.Create(args[1])
	if err != nil {
		return err
	}
	out := &counted{file: bufio.NewWriterSize(file, 1<<20), most: megabytes << 20, full: make(chan struct{})}
	if err := trace.Start(out); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-out.full
		cancel()
	}()
	err = works[args[0]](ctx)
	trace.Stop()
	if err != nil {
		return err
	}
	if err := out.file.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// order is what the service's clients send and get.
type order struct {
	ID    int      `json:"id"`
	Names []string `json:"names"`
	Total float64  `json:"total"`
}

// store is the service's memory, behind one lock.
type store struct {
	mu     sync.Mutex
	orders map[int]order
}

func (s *store) put(ctx context.Context, o order) int {
	defer trace.StartRegion(ctx, "store").End()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders[o.ID%512] = o
	return len(s.orders)
}

// service runs an HTTP server whose handlers have tasks, regions and logs, and clients that keep it busy.
func service(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	shelf := &store{orders: map[int]order{}}
	pricing := make(chan priced)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() { price(pricing) })
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(w, r, shelf, pricing)
	})}
	go server.Serve(listener)
	url := "http://" + listener.Addr().String() + "/orders"
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	var clients sync.WaitGroup
	for id := range 24 {
		clients.Go(func() { client(ctx, &http.Client{Transport: transport}, url, id) })
	}
	clients.Wait()
	transport.CloseIdleConnections()
	err = server.Shutdown(context.Background())
	close(pricing)
	workers.Wait()
	return err
}

// priced is a question to the workers and where the answer goes.
type priced struct {
	ctx    context.Context
	order  order
	answer chan float64
}

func price(questions <-chan priced) {
	for q := range questions {
		trace.WithRegion(q.ctx, "price", func() {
			total := 0.0
			for i, name := range q.order.Names {
				total += float64(len(name) * (i + 1))
			}
			q.answer <- total
		})
	}
}

func handle(w http.ResponseWriter, r *http.Request, shelf *store, pricing chan<- priced) {
	ctx, task := trace.NewTask(r.Context(), "order")
	defer task.End()
	var o order
	trace.WithRegion(ctx, "decode", func() { json.NewDecoder(r.Body).Decode(&o) })
	answer := make(chan float64)
	pricing <- priced{ctx, o, answer}
	o.Total = <-answer
	trace.Log(ctx, "orders", strconv.Itoa(shelf.put(ctx, o)))
	defer trace.StartRegion(ctx, "encode").End()
	json.NewEncoder(w).Encode(o)
}

func client(ctx context.Context, c *http.Client, url string, id int) {
	for n := 0; ctx.Err() == nil; n++ {
		body, _ := json.Marshal(order{ID: id*1000 + n%1000, Names: []string{"bolt", "nut", strconv.Itoa(n)}})
		in, out := io.Pipe()
		go func() {
			out.Write(body)
			out.Close()
		}()
		answer, err := c.Post(url, "application/json", in)
		if err != nil {
			continue
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if n%64 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// channels passes numbers around rings of goroutines over unbuffered channels: hardly anything but blocking and waking.
func channels(ctx context.Context) error {
	var rings sync.WaitGroup
	for range 8 {
		rings.Go(func() { ring(ctx, 16) })
	}
	rings.Wait()
	return nil
}

func ring(ctx context.Context, length int) {
	first := make(chan int)
	in := first
	var links sync.WaitGroup
	for range length - 1 {
		from, out := in, make(chan int)
		links.Go(func() { link(from, out) })
		in = out
	}
	for n := 0; ctx.Err() == nil; n++ {
		first <- n
		<-in
	}
	close(first)
	links.Wait()
}

func link(in <-chan int, out chan<- int) {
	for n := range in {
		out <- n
	}
	close(out)
}
