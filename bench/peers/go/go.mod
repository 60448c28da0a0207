module leat.bench/peers/go

go 1.19
