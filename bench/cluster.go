package main

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"time"
)

var clusterParts = []part{
	{"commands", commands}, {"calls", calls}, {"outage", outage}, {"memory", memory}, {"catchup", catchUp},
}

// runCluster measures three nodes.
func runCluster(args []string) error {
	var (
		o     options
		file  string
		quick bool
	)
	flags := flag.NewFlagSet("bench cluster", flag.ContinueOnError)
	o.register(flags, "commands, calls, outage, memory, catchup")
	flags.DurationVar(&o.callTime, "call-time", 5*time.Second, "length of each measurement over gRPC")
	flags.IntVar(&o.turns, "turns", 20, "kills, transfers and stops of a leader")
	flags.StringVar(&file, "json", "", "also write the figures as JSON to this file; - for standard output, "+
		"and the tables to standard error")
	flags.BoolVar(&quick, "quick", false, "very little of everything: shows that it works, measures nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if quick {
		o.beQuick()
	}
	o.out = os.Stdout
	if file == "-" {
		o.out = os.Stderr
	}
	r, err := o.measureCluster(o.out)
	if err != nil || file == "" {
		return err
	}
	return r.write(file)
}

// beQuick asks for so little that the figures say nothing.
func (o *options) beQuick() {
	o.rounds, o.requests, o.keys, o.callTime, o.turns = 1, 300, 2000, 200*time.Millisecond, 1
}

// measureCluster runs the parts that are wanted.
func (o *options) measureCluster(out io.Writer) (*report, error) {
	o.out, o.report = out, newReport(out)
	o.report.note("all processes and the load share this machine and its disk; logs are synced for every write")
	if !haveEtcd() {
		o.report.note("etcd is not installed (`make etcd`): there is nothing of it below")
	}
	if err := o.inDirectory(clusterParts); err != nil {
		return nil, err
	}
	return o.report, nil
}

func haveEtcd() bool {
	_, err := exec.LookPath("etcd")
	return err == nil
}

// startTrios starts three nodes of this store and, if it is there, of etcd.
func startTrios(o *options) ([]*trio, error) {
	ours, err := startTrio(o, primatomicKind{binary: o.binary})
	if err != nil || !haveEtcd() {
		return []*trio{ours}, err
	}
	theirs, err := startTrio(o, etcdKind{})
	if err != nil {
		ours.kill()
		return nil, err
	}
	return []*trio{ours, theirs}, nil
}

func killAll(trios []*trio) {
	for _, t := range trios {
		t.kill()
	}
}
