// select: see bench/workloads/select.c.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	chansMax  = 8
	turns     = 4_000_000
	senders   = 4
	receivers = 4
	each      = 250_000
	warmUp    = 1000
)

var (
	chans int
	c     [chansMax]chan int64
)

func open(capacity int) {
	for i := 0; i < chans; i++ {
		c[i] = make(chan int64, capacity)
	}
}

func takeAny() (r int, v int64) {
	if chans == 2 {
		select {
		case v = <-c[0]:
			return 0, v
		case v = <-c[1]:
			return 1, v
		}
	}
	select {
	case v = <-c[0]:
		return 0, v
	case v = <-c[1]:
		return 1, v
	case v = <-c[2]:
		return 2, v
	case v = <-c[3]:
		return 3, v
	case v = <-c[4]:
		return 4, v
	case v = <-c[5]:
		return 5, v
	case v = <-c[6]:
		return 6, v
	case v = <-c[7]:
		return 7, v
	}
}

func giveAny(v int64) {
	if chans == 2 {
		select {
		case c[0] <- v:
		case c[1] <- v:
		}
		return
	}
	select {
	case c[0] <- v:
	case c[1] <- v:
	case c[2] <- v:
	case c[3] <- v:
	case c[4] <- v:
	case c[5] <- v:
	case c[6] <- v:
	case c[7] <- v:
	}
}

func goRound(n int64) {
	open(1)
	c[0] <- 0
	for i := int64(0); i < n; i++ {
		r, v := takeAny()
		span.Must(r == int(i)%chans && v == i, "a wrong number")
		c[(int(i)+1)%chans] <- v + 1
	}
}

func produce(from, n int64, wg *sync.WaitGroup) {
	for i := int64(0); i < n; i++ {
		giveAny(from + i)
	}
	wg.Done()
}

func consume(n int64, sum *int64, wg *sync.WaitGroup) {
	all := int64(0)
	for i := int64(0); i < n; i++ {
		_, v := takeAny()
		all += v
	}
	*sum = all
	wg.Done()
}

func pass(each int64) {
	var sums [receivers]int64
	n := each * senders
	var wg sync.WaitGroup
	open(0)
	wg.Add(senders + receivers)
	for i := range sums {
		go consume(n/receivers, &sums[i], &wg)
	}
	for i := int64(0); i < senders; i++ {
		go produce(i*each, each, &wg)
	}
	wg.Wait()
	sum := int64(0)
	for _, v := range sums {
		sum += v
	}
	span.Must(sum == n*(n-1)/2, "the numbers do not add up")
}

func main() {
	chans = span.Arg(2)
	goRound(warmUp)
	s := span.Begin()
	goRound(turns)
	s.End()
	s.Print("free_", turns, turns, time.Nanosecond, "ns")
	pass(warmUp)
	s = span.Begin()
	pass(each)
	s.End()
	s.Print("contended_", each*senders, each*senders, time.Nanosecond, "ns")
}
