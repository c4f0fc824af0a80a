// Package sdk is for plugins of Sluice in Go.
//
// A metric provider is a type with a method Run, and [Export] makes it the component's. [Router] and
// [ExportRouter] are the same for traffic routers, [Step] and [ExportStep] for steps. The code runs
// in unit tests against the host of package sdktest, without a controller and without Kubernetes.
package sdk

import (
	"encoding/json"
	"fmt"
	"time"
)

// Context is the measurement that is taken.
type Context struct {
	// Namespace of the analysis run.
	Namespace string
	// AnalysisRun is the name of the analysis run.
	AnalysisRun string
	// Metric is the name of the metric.
	Metric string
	// Labels are good for those of queries: rollout, revision, the hashes of canary and stable.
	Labels map[string]string
	// Index is zero for the metric's first measurement.
	Index uint32
}

// Verdict is what a provider judges by itself.
type Verdict uint8

// The verdicts.
const (
	Successful Verdict = iota
	Unsuccessful
	Inconclusive
)

// Outcome is what was measured: one of Number, Numbers, Value, NoData, Judged and Running. The host
// judges the user's conditions on it.
type Outcome interface{ outcome() }

// Number is one number; NaN and infinities are numbers.
type Number float64

// Numbers are several.
type Numbers []float64

// Value is any JSON.
type Value struct{ JSON any }

// NoData says that the query was fine, and that nothing came back.
type NoData struct{}

// Judged is the provider's own judgement.
type Judged Verdict

// Running says that it takes longer: the host calls Resume with the token.
type Running struct {
	// Token is JSON of at most 16 KiB. It outlives the controller and this version of the plugin.
	Token any
	// After is when to resume, between one second and one hour.
	After time.Duration
}

func (Number) outcome()  {}
func (Numbers) outcome() {}
func (Value) outcome()   {}
func (NoData) outcome()  {}
func (Judged) outcome()  {}
func (Running) outcome() {}

// Measurement is one measurement.
type Measurement struct {
	Outcome Outcome
	// Message is for people, beside the measurement.
	Message string
	// Metadata is kept with the measurement: the query as it was sent, a link.
	Metadata map[string]string
}

// Measured is a measurement without message and metadata.
func Measured(outcome Outcome) Measurement { return Measurement{Outcome: outcome} }

// With adds to the metadata.
func (m Measurement) With(name, value string) Measurement {
	metadata := map[string]string{name: value}
	for other, text := range m.Metadata {
		if other != name {
			metadata[other] = text
		}
	}
	m.Metadata = metadata
	return m
}

// Provider takes measurements. C is the provider's part of a metric; see [ParseConfig] for what it
// may be. Nothing is kept between calls: each runs in an instance of its own.
type Provider[C any] interface {
	// Run takes a measurement. After a crash it may be called again, which must do no harm.
	Run(ctx Context, config C) (Measurement, error)
}

// Validator is a Provider that checks what a type cannot say. There is neither network nor cluster.
type Validator[C any] interface{ Validate(config C) error }

// Resumer is a Provider that goes on after Running. Without it, Run starts over.
type Resumer[C any] interface {
	Resume(ctx Context, config C, token json.RawMessage) (Measurement, error)
}

// Terminator is a Provider that cancels what it started, when nobody waits for it any more.
type Terminator[C any] interface {
	Terminate(ctx Context, config C, token json.RawMessage) error
}

// Functions are a provider's, from JSON on. The host and sdktest call them.
type Functions struct {
	Validate  func(config string) error
	Run       func(ctx Context, config string) (Measurement, error)
	Resume    func(ctx Context, config, token string) (Measurement, error)
	Terminate func(ctx Context, config, token string) error
}

// FunctionsOf are those of a provider. A panic becomes an error with the code "panic".
func FunctionsOf[C any](provider Provider[C]) Functions {
	open := func(text string) (C, error) { return open[C](provider, text) }
	run := func(ctx Context, text string) (m Measurement, err error) {
		defer rescue(&err)
		config, err := open(text)
		if err != nil {
			return Measurement{}, err
		}
		return provider.Run(ctx, config)
	}
	return Functions{
		Validate: func(text string) (err error) {
			defer rescue(&err)
			_, err = open(text)
			return err
		},
		Run: run,
		Resume: func(ctx Context, text, token string) (m Measurement, err error) {
			resumer, ok := provider.(Resumer[C])
			if !ok {
				return run(ctx, text)
			}
			defer rescue(&err)
			config, err := open(text)
			if err != nil {
				return Measurement{}, err
			}
			return resumer.Resume(ctx, config, json.RawMessage(token))
		},
		Terminate: func(ctx Context, text, token string) (err error) {
			terminator, ok := provider.(Terminator[C])
			if !ok {
				return nil
			}
			defer rescue(&err)
			config, err := open(text)
			if err != nil {
				return err
			}
			return terminator.Terminate(ctx, config, json.RawMessage(token))
		},
	}
}

func rescue(err *error) {
	if why := recover(); why != nil {
		*err = &Failed{Code: "panic", Message: fmt.Sprint(why)}
	}
}
