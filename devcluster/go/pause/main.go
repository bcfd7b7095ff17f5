// Command pause does nothing until it is told to stop. It is process 1 of every pod's sandbox: it
// keeps the pod's network namespace alive while the pod's containers come and go.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
