package sdk

import "time"

// Level is how much a log line matters.
type Level uint8

// The levels.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Host is what does the work of host calls: the controller in a component, a script in unit tests.
type Host interface {
	Send(request *Request) (*Response, error)
	Secret(alias string) ([]byte, error)
	Enabled(level Level) bool
	Log(level Level, message string, fields []Header)
	Now() time.Time
}

// UseHost puts a host in place, and gives the one that was there. It is for package sdktest.
func UseHost(other Host) Host {
	before := host
	host = other
	return before
}

// Secret is the bytes behind an alias, as the operator granted it. Where it is possible, let the
// host add the credential to the request on its way out instead: then the plugin never sees it.
func Secret(alias string) ([]byte, error) { return host.Secret(alias) }

// Now is the time of the host.
func Now() time.Time { return host.Now() }

// Enabled is false if a log line of this level would be dropped, so that it need not be built.
func Enabled(level Level) bool { return host.Enabled(level) }

// Log writes a line, with pairs of name and value. The host ties it to the plugin and to the
// rollout or run at hand.
func Log(level Level, message string, pairs ...string) {
	var fields []Header
	for index := 0; index+1 < len(pairs); index += 2 {
		fields = append(fields, Header{pairs[index], pairs[index+1]})
	}
	host.Log(level, message, fields)
}
