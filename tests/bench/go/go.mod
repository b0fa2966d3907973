module github.com/shmkit/shmkit/tests/bench

go 1.24

require github.com/shmkit/shmkit/go v0.0.0

replace github.com/shmkit/shmkit/go => ../../../go
