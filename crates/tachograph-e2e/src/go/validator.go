// Reads execution traces with Go's own ordered reader, puts every event through the validator of Go's trace
// tests, and tells the result in lines of tab-separated fields. Built by ../go.rs, which also reads the lines.
//
// usage: validator [-events | -text] TRACE
//
//	validator -many
//
// -many reads traces from stdin, each behind its length as eight bytes, lowest first, and gives one line for each.
//
// Lines on stdout; every value is escaped by `escape`:
//
//	verdict  events=N samples=N syncs=N
//	refused  events=N message=..            the trace broke after N good events
//	event    kind=.. time=.. ...            with -events, before the verdict
//	text     value=..                       with -text, before the verdict
//
// The exit status is 0 for both results, and 2 if the trace could not be opened at all.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"tachograph/validator/trace"
	"tachograph/validator/trace/testtrace"
	"tachograph/validator/trace/version"
)

// Separates the parts of one value (see frames).
const partSeparator = "\x1f"

var escaper = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r", partSeparator, "\\u")

func escape(s string) string { return escaper.Replace(s) }

// line collects the fields of one output line.
type line struct{ strings.Builder }

func newLine(tag string) *line {
	l := new(line)
	l.WriteString(tag)
	return l
}

func (l *line) raw(key, value string) {
	l.WriteByte('\t')
	l.WriteString(key)
	l.WriteByte('=')
	l.WriteString(value)
}

func (l *line) text(key, value string)         { l.raw(key, escape(value)) }
func (l *line) number(key string, value int64) { l.raw(key, strconv.FormatInt(value, 10)) }

// id writes an identifier, and nothing if there is none: Go uses -1 for "no thread", "no proc", "no goroutine".
func (l *line) id(key string, value int64) {
	if value != -1 {
		l.number(key, value)
	}
}

// task writes a task identifier; the background task and "no task" are left out.
func (l *line) task(key string, value trace.TaskID) {
	if value != trace.NoTask && value != trace.BackgroundTask {
		l.raw(key, strconv.FormatUint(uint64(value), 10))
	}
}

func (l *line) frames(key string, stack trace.Stack) {
	for f := range stack.Frames() {
		parts := []string{strconv.FormatUint(f.PC, 10), strconv.FormatUint(f.Line, 10), escape(f.Func), escape(f.File)}
		l.raw(key, strings.Join(parts, partSeparator))
	}
}

func (l *line) print(out io.Writer) { fmt.Fprintln(out, l.String()) }

// describe writes what every event has, then what its kind adds.
func describe(ev trace.Event, generation int) *line {
	l := newLine("event")
	l.text("kind", ev.Kind().String())
	l.number("time", int64(ev.Time()))
	l.number("gen", int64(generation))
	l.id("m", int64(ev.Thread()))
	l.id("p", int64(ev.Proc()))
	l.id("g", int64(ev.Goroutine()))
	details(l, ev)
	l.frames("frame", ev.Stack())
	return l
}

func details(l *line, ev trace.Event) {
	switch ev.Kind() {
	case trace.EventSync:
		if c := ev.Sync().ClockSnapshot; c != nil {
			l.number("clock_trace", int64(c.Trace))
			l.raw("clock_mono", strconv.FormatUint(c.Mono, 10))
			l.number("clock_wall", c.Wall.UnixNano())
		}
	case trace.EventMetric:
		m := ev.Metric()
		l.text("name", m.Name)
		if m.Value.Kind() == trace.ValueUint64 {
			l.raw("value", strconv.FormatUint(m.Value.Uint64(), 10))
		}
	case trace.EventLabel:
		l.text("label", ev.Label().Label)
		l.text("resource", ev.Label().Resource.String())
	case trace.EventRangeBegin, trace.EventRangeActive, trace.EventRangeEnd:
		l.text("name", ev.Range().Name)
		l.text("scope", ev.Range().Scope.String())
	case trace.EventTaskBegin, trace.EventTaskEnd:
		t := ev.Task()
		l.task("task", t.ID)
		l.task("parent", t.Parent)
		l.text("name", t.Type)
	case trace.EventRegionBegin, trace.EventRegionEnd:
		l.task("task", ev.Region().Task)
		l.text("name", ev.Region().Type)
	case trace.EventLog:
		l.task("task", ev.Log().Task)
		l.text("category", ev.Log().Category)
		l.text("message", ev.Log().Message)
	case trace.EventStateTransition:
		transition(l, ev.StateTransition())
	}
}

func transition(l *line, t trace.StateTransition) {
	switch t.Resource.Kind {
	case trace.ResourceGoroutine:
		from, to := t.Goroutine()
		l.number("goroutine", int64(t.Resource.Goroutine()))
		l.text("from", from.String())
		l.text("to", to.String())
	case trace.ResourceProc:
		from, to := t.Proc()
		l.number("proc", int64(t.Resource.Proc()))
		l.text("from", from.String())
		l.text("to", to.String())
	}
	l.text("reason", t.Reason)
	l.frames("resource_frame", t.Stack)
}

// tally is what a walk has seen so far.
type tally struct{ events, samples, syncs int }

func (t tally) verdict() *line {
	l := newLine("verdict")
	l.number("events", int64(t.events))
	l.number("samples", int64(t.samples))
	l.number("syncs", int64(t.syncs))
	return l
}

// headerVersion reads the minor version out of "go 1.NN trace"; the reader itself refuses any other header.
func headerVersion(in *bufio.Reader) version.Version {
	head, _ := in.Peek(16)
	minor := 0
	fmt.Sscanf(string(head), "go 1.%d trace", &minor)
	return version.Version(minor)
}

// walk reads to the end of the trace. A panic inside the reader is a refusal like any other.
func walk(in io.Reader, see func(trace.Event, *tally)) (t tally, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the reader: %v", p)
		}
	}()
	buffered := bufio.NewReaderSize(in, 1<<20)
	validator := testtrace.NewValidator()
	validator.GoVersion = headerVersion(buffered)
	reader, err := trace.NewReader(buffered)
	if err != nil {
		return t, err
	}
	for {
		ev, err := reader.ReadEvent()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return t, err
		}
		if err := validator.Event(ev); err != nil {
			return t, fmt.Errorf("invalid event: %w: %s", err, ev.String())
		}
		t.events++
		switch ev.Kind() {
		case trace.EventStackSample:
			t.samples++
		case trace.EventSync:
			t.syncs++
		}
		see(ev, &t)
	}
}

// judge gives the verdict on a trace.
func judge(in io.Reader, see func(trace.Event, *tally)) *line {
	t, err := walk(in, see)
	if err == nil {
		return t.verdict()
	}
	l := newLine("refused")
	l.number("events", int64(t.events))
	l.text("message", err.Error())
	return l
}

// many judges traces from in until it ends.
func many(in io.Reader, out *bufio.Writer) error {
	for {
		var size [8]byte
		if _, err := io.ReadFull(in, size[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		data := make([]byte, binary.LittleEndian.Uint64(size[:]))
		if _, err := io.ReadFull(in, data); err != nil {
			return err
		}
		judge(bytes.NewReader(data), func(trace.Event, *tally) {}).print(out)
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

func run(mode, path string, out io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	judge(f, func(ev trace.Event, t *tally) {
		switch mode {
		case "-events":
			describe(ev, t.syncs).print(out)
		case "-text":
			l := newLine("text")
			l.text("value", ev.String())
			l.print(out)
		}
	}).print(out)
	return nil
}

func main() {
	mode, args := "", os.Args[1:]
	if len(args) == 2 {
		mode, args = args[0], args[1:]
	}
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: validator [-events | -text] TRACE\n       validator -many")
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	var err error
	if args[0] == "-many" {
		err = many(bufio.NewReader(os.Stdin), out)
	} else {
		err = run(mode, args[0], out)
	}
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
