//go:build !wasip1

package sdk

import (
	"errors"
	"time"
)

var host Host = nobody{}

var errNobody = errors.New("there is no host here: call the plugin through package sdktest")

// nobody is in place where there is neither a controller nor a test.
type nobody struct{}

func (nobody) Send(*Request) (*Response, error) { return nil, errNobody }
func (nobody) Secret(string) ([]byte, error)    { return nil, errNobody }
func (nobody) Enabled(Level) bool               { return false }
func (nobody) Log(Level, string, []Header)      {}
func (nobody) Now() time.Time                   { return time.Time{} }

// Export makes a provider the component's, once, from a function init. Outside of a component it
// does nothing.
func Export[C any](Provider[C]) {}

// ExportStep makes a step the component's, once, from a function init. Outside of a component it
// does nothing.
func ExportStep[C, S any](Step[C, S]) {}

// ExportRouter makes a router the component's, once, from a function init. Outside of a component
// it does nothing.
func ExportRouter[C any](Router[C]) {}
