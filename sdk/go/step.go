package sdk

import (
	"encoding/json"
	"fmt"
	"time"
)

// StepContext is the step that is done.
type StepContext struct {
	// Namespace of the rollout.
	Namespace string
	// Rollout is its name.
	Rollout string
	// RolloutUID tells the rollout from one of the same name before it.
	RolloutUID string
	// Revision is what is released, as in rollout.argoproj.io/revision.
	Revision string
	// StepIndex is among the rollout's steps, from zero.
	StepIndex uint32
}

// Key is a name for this step of this release that no other has, and that a repeated call has
// again. A server that is given it can tell a repeated request from a second one.
func (c StepContext) Key() string {
	return fmt.Sprintf("%s-%s-%d", c.RolloutUID, c.Revision, c.StepIndex)
}

// StepOutcome is one of Done, Refused and Again.
type StepOutcome interface{ stepOutcome() }

// Done says that the release may go on.
type Done struct{}

// Refused says that the release must not go on, and why: it is aborted.
type Refused struct{ Why string }

// Again says that Run is called again, with the state.
type Again struct {
	// After is when, between one second and one hour.
	After time.Duration
}

func (Done) stepOutcome()    {}
func (Refused) stepOutcome() {}
func (Again) stepOutcome()   {}

// Progress is how far a step is.
type Progress struct {
	Outcome StepOutcome
	// State is for the next call: JSON of at most 16 KiB. It outlives the controller and this
	// version of the plugin. Abort finds it even when the step is done.
	State any
	// Message is for people, beside the step.
	Message string
}

// Progressed is a progress without a state or a message.
func Progressed(outcome StepOutcome) Progress { return Progress{Outcome: outcome} }

// Keeping leaves something behind.
func (p Progress) Keeping(state any) Progress {
	p.State = state
	return p
}

// Saying says something to people.
func (p Progress) Saying(format string, args ...any) Progress {
	p.Message = fmt.Sprintf(format, args...)
	return p
}

// Step is a step between two weights. C is what a user writes under config, as [ParseConfig] reads
// it, and S what one call leaves behind for the next, read alike. Nothing else is kept between
// calls: each runs in an instance of its own.
//
// A step may also be a [Validator], a [StepTerminator] and an [Aborter].
type Step[C, S any] interface {
	// Run does the step, or goes on with it. The state is nil before the first call. After a crash
	// it may be called again with the same state, which must do no harm; [StepContext.Key] helps.
	// An error is no failure of the step: it means that nobody knows yet.
	Run(ctx StepContext, config C, state *S) (Progress, error)
}

// StepTerminator has something to stop when the release goes on without the step. The step may
// never have run.
type StepTerminator[C, S any] interface {
	Terminate(ctx StepContext, config C, state *S) error
}

// Aborter has something to undo when the release is aborted. The step may never have run, or be
// done already.
type Aborter[C, S any] interface {
	Abort(ctx StepContext, config C, state *S) error
}

// StepFunctions are a step's, from JSON on; without a state it is nil. The host and sdktest call
// them.
type StepFunctions struct {
	Validate  func(config string) error
	Run       func(ctx StepContext, config string, state *string) (Progress, error)
	Terminate func(ctx StepContext, config string, state *string) error
	Abort     func(ctx StepContext, config string, state *string) error
}

// StepFunctionsOf are those of a step. A panic becomes an error with the code "panic".
func StepFunctionsOf[C, S any](step Step[C, S]) StepFunctions {
	ending := func(end func(StepContext, C, *S) error) func(StepContext, string, *string) error {
		return func(ctx StepContext, config string, state *string) (err error) {
			if end == nil {
				return nil
			}
			defer rescue(&err)
			read, kept, err := openStep(step, config, state)
			if err != nil {
				return err
			}
			return end(ctx, read, kept)
		}
	}
	var terminate, abort func(StepContext, C, *S) error
	if terminator, ok := step.(StepTerminator[C, S]); ok {
		terminate = terminator.Terminate
	}
	if aborter, ok := step.(Aborter[C, S]); ok {
		abort = aborter.Abort
	}
	return StepFunctions{
		Validate: func(config string) (err error) {
			defer rescue(&err)
			_, err = open[C](step, config)
			return err
		},
		Run: func(ctx StepContext, config string, state *string) (p Progress, err error) {
			defer rescue(&err)
			read, kept, err := openStep(step, config, state)
			if err != nil {
				return Progress{}, err
			}
			return step.Run(ctx, read, kept)
		},
		Terminate: ending(terminate),
		Abort:     ending(abort),
	}
}

func openStep[C, S any](step Step[C, S], config string, state *string) (C, *S, error) {
	read, err := open[C](step, config)
	if err != nil || state == nil {
		return read, nil, err
	}
	kept, err := ParseConfig[S](*state)
	if err != nil {
		// What an earlier version of the plugin left behind is not the user's mistake.
		return read, nil, &Failed{Code: "bad-state", Message: "cannot read the state: " + err.Error()}
	}
	return read, &kept, nil
}

// open reads the configuration of a plugin, and has the plugin check it.
func open[C any](plugin any, text string) (C, error) {
	config, err := ParseConfig[C](text)
	if validator, ok := plugin.(Validator[C]); ok && err == nil {
		err = validator.Validate(config)
	}
	return config, err
}

// marshal is what is sent as JSON.
func marshal(value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", &Failed{Code: "not-json", Message: "the answer is no JSON: " + err.Error()}
	}
	return string(text), nil
}
