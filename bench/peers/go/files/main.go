// files: see bench/workloads/files.c.
package main

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"leat.bench/peers/go/internal/span"
	"leat.bench/peers/go/internal/ticker"
)

const (
	readers   = 100
	fileBytes = 1 << 30
	readBytes = 4096
	chunk     = 1 << 20

	adviseRandom   = 1 // POSIX_FADV_RANDOM
	adviseDontNeed = 4 // POSIX_FADV_DONTNEED
)

func prepare(file *os.File) {
	buf := make([]byte, chunk)
	st, err := file.Stat()
	span.Must(err == nil, "stat")
	if st.Size() != fileBytes {
		for i := range buf {
			buf[i] = byte(i*7 + 1)
		}
		for at := int64(0); at < fileBytes; at += chunk {
			n, err := file.WriteAt(buf, at)
			span.Must(n == chunk && err == nil, "write")
		}
	}
	span.Must(file.Sync() == nil, "sync")
	for at := int64(0); at < fileBytes; at += chunk {
		n, err := file.ReadAt(buf, at)
		span.Must(n == chunk && err == nil, "read")
	}
}

func advise(file *os.File, advice uintptr) {
	_, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, file.Fd(), 0, 0, advice, 0, 0)
	span.Must(errno == 0, "posix_fadvise")
}

func reader(file *os.File, which int, over *uint32, reads *uint64, wg *sync.WaitGroup) {
	var buf [readBytes]byte
	state := uint64(which) + 1
	for atomic.LoadUint32(over) == 0 {
		state = span.Splitmix(state)
		n, err := file.ReadAt(buf[:], int64(state%(fileBytes/readBytes))*readBytes)
		span.Must(n == readBytes && err == nil, "read")
		*reads++
	}
	wg.Done()
}

func main() {
	var wg sync.WaitGroup
	var t ticker.Ticker
	var over uint32
	var reads [readers]uint64
	kind := span.Arg(1)
	span.Must(kind <= 2, "1 or 2")
	file, err := os.OpenFile("/var/tmp/leat-bench-files", os.O_RDWR|os.O_CREATE, 0600)
	span.Must(err == nil, "open")
	prepare(file)
	advise(file, adviseRandom)
	if kind == 2 {
		advise(file, adviseDontNeed)
	}
	wg.Add(readers)
	s := span.Begin()
	for i := 0; i < readers; i++ {
		go reader(file, i, &over, &reads[i], &wg)
	}
	t.Run(500 * time.Millisecond)
	atomic.StoreUint32(&over, 1)
	wg.Wait()
	s.End()
	sum := uint64(0)
	for _, n := range reads {
		sum += n
	}
	span.Line("reads", float64(sum)/s.Wall.Seconds(), "1/s")
	span.Line("cpu", float64(s.CPU.Nanoseconds())/1e3/float64(sum), "us")
	t.Print(20 * time.Millisecond)
}
