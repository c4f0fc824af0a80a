package sdk

import "time"

// InvalidConfig says that what the user configured is wrong, and that trying again will not help.
// Its text names the field, and what it should be.
type InvalidConfig struct{ Message string }

func (e *InvalidConfig) Error() string { return e.Message }

// Transient says that another try is worth it: the other side cannot be reached, or is busy.
type Transient struct {
	Message string
	// After is when to try again, if the plugin knows; otherwise it is zero.
	After time.Duration
}

func (e *Transient) Error() string { return e.Message }

// Failed is neither the user's mistake nor worth another try. Any other error of a provider is
// reported as one with the code "error".
type Failed struct {
	// Code is lower-kebab-case and stable: it becomes the label of a metric.
	Code    string
	Message string
}

func (e *Failed) Error() string { return e.Message }
