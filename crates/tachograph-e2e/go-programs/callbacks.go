// C threads that call into Go: each calls several times and ends, so that its kernel id can come back as another thread's. Go calls C,
// which calls back, too.
package main

/*
#cgo LDFLAGS: -lpthread
#include <pthread.h>
#include <unistd.h>

extern void enter(int);

static void *calls(void *times) {
	for (long n = (long)times; n > 0; n--) {
		enter((int)n);
		usleep(50);
	}
	return 0;
}

// One after the other, so that ids are free again.
static void one_by_one(int threads, long times) {
	for (int n = 0; n < threads; n++) {
		pthread_t thread;
		if (pthread_create(&thread, 0, calls, (void *)times) == 0)
			pthread_join(thread, 0);
	}
}

static void together(int threads, long times) {
	pthread_t all[16];
	int started = 0;
	for (; started < threads && started < 16; started++)
		if (pthread_create(&all[started], 0, calls, (void *)times) != 0)
			break;
	while (started > 0)
		pthread_join(all[--started], 0);
}

static void straight(int n) { enter(n); }
*/
import "C"

import (
	"io"
	"os"
	"sync"
)

var inside = make(chan int)

//export enter
func enter(n C.int) {
	os.Getppid()
	if n%2 == 0 {
		// Blocks in Go, so that the C thread loses its slot.
		inside <- int(n)
		<-inside
	}
}

func program(out io.Writer, size int) error {
	quit := make(chan struct{})
	go answer(quit)
	// These threads are born before the trace and end in it.
	var early sync.WaitGroup
	early.Go(func() { C.together(4, C.long(20*size)) })
	err := traced(out, func() {
		C.one_by_one(C.int(10*size), 3)
		early.Wait()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { C.together(3, C.long(6*size)) })
			all.Go(func() {
				for n := range 10 * size {
					C.straight(C.int(n))
				}
			})
		}
		all.Wait()
	})
	close(quit)
	return err
}

func answer(quit chan struct{}) {
	for {
		select {
		case n := <-inside:
			inside <- n
		case <-quit:
			return
		}
	}
}
