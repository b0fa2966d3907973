// The conformance runner of the Go face: one command per line on stdin, one answer per line on stdout. README.md in the
// folder above describes the protocol.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"os"

	shmkit "github.com/shmkit/shmkit/go"
)

func main() {
	log.SetFlags(0)
	in := bufio.NewReader(os.Stdin)
	runner := runner{
		objects: map[string]object{}, views: map[string]*view{}, logs: newLogs(), windows: map[string]*shmkit.WindowCache{},
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return // the end of the input; half a line is none
		}
		if _, err := fmt.Println(runner.answer(line)); err != nil {
			log.Fatal(err)
		}
	}
}

// answer does what a line says and returns the line that answers it.
func (r *runner) answer(line string) string {
	command, err := parse(line)
	fields := ""
	if err == nil {
		fields, err = r.run(command)
	}
	var refused *shmkit.Error
	switch {
	case err == nil:
		return "ok" + fields
	case errors.As(err, &refused):
		return fmt.Sprintf("error kind=%s errno=%d operation=%s object=%s message=%s", refused.Kind.Name(), refused.Errno,
			encode(refused.Op), encode(refused.Object), encode(refused.Error()))
	}
	return "fail message=" + encode(err.Error())
}
