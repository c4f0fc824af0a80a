//go:build wasip1

package sdk

import (
	"sort"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	export "sluice.dev/sdk/internal/wit/export_sluice_metric_provider"
	wire "sluice.dev/sdk/internal/wit/sluice_metric_provider"
	wiretypes "sluice.dev/sdk/internal/wit/sluice_plugin_types"
	// What the host calls is in here, and nothing else refers to it.
	_ "sluice.dev/sdk/internal/wit/wit_exports"
)

// Export makes a provider the component's, once, from a function init.
func Export[C any](provider Provider[C]) {
	functions := FunctionsOf(provider)
	export.Provider = export.Functions{
		Validate: func(config string) export.Done { return done(functions.Validate(config)) },
		Run: func(ctx wire.MetricContext) export.Answer {
			return answer(functions.Run(context(ctx), ctx.Config))
		},
		Resume: func(ctx wire.MetricContext, token string) export.Answer {
			return answer(functions.Resume(context(ctx), ctx.Config, token))
		},
		Terminate: func(ctx wire.MetricContext, token string) export.Done {
			return done(functions.Terminate(context(ctx), ctx.Config, token))
		},
	}
}

func context(ctx wire.MetricContext) Context {
	labels := make(map[string]string, len(ctx.Labels))
	for _, pair := range ctx.Labels {
		labels[pair.F0] = pair.F1
	}
	return Context{
		Namespace:   ctx.Namespace,
		AnalysisRun: ctx.AnalysisRun,
		Metric:      ctx.Metric,
		Labels:      labels,
		Index:       ctx.Index,
	}
}

func done(err error) export.Done {
	if err != nil {
		return witTypes.Err[witTypes.Unit, wiretypes.PluginError](pluginError(err))
	}
	return witTypes.Ok[witTypes.Unit, wiretypes.PluginError](witTypes.Unit{})
}

func answer(m Measurement, err error) export.Answer {
	var outcome wire.Outcome
	if err == nil {
		outcome, err = wireOutcome(m.Outcome)
	}
	if err != nil {
		return witTypes.Err[wire.Measurement, wiretypes.PluginError](pluginError(err))
	}
	message := witTypes.None[string]()
	if m.Message != "" {
		message = witTypes.Some(m.Message)
	}
	metadata := make([]witTypes.Tuple2[string, string], 0, len(m.Metadata))
	for name, value := range m.Metadata {
		metadata = append(metadata, witTypes.Tuple2[string, string]{F0: name, F1: value})
	}
	sort.Slice(metadata, func(a, b int) bool { return metadata[a].F0 < metadata[b].F0 })
	return witTypes.Ok[wire.Measurement, wiretypes.PluginError](wire.Measurement{
		Outcome:  outcome,
		Message:  message,
		Metadata: metadata,
	})
}

func wireOutcome(outcome Outcome) (wire.Outcome, error) {
	switch outcome := outcome.(type) {
	case Number:
		return wire.MakeOutcomeNumber(float64(outcome)), nil
	case Numbers:
		return wire.MakeOutcomeNumbers(outcome), nil
	case Value:
		text, err := marshal(outcome.JSON)
		return wire.MakeOutcomeValue(text), err
	case NoData:
		return wire.MakeOutcomeNoData(), nil
	case Judged:
		return wire.MakeOutcomeJudged(wire.Verdict(outcome)), nil
	case Running:
		text, err := marshal(outcome.Token)
		after := millis(outcome.After).SomeOr(0)
		return wire.MakeOutcomeRunning(wire.InProgress{Token: text, ResumeAfterMs: after}), err
	default:
		return wire.Outcome{}, &Failed{Code: "no-measurement", Message: "the measurement has no outcome"}
	}
}

func pluginError(err error) wiretypes.PluginError {
	switch err := kindOf(err).(type) {
	case *InvalidConfig:
		return wiretypes.MakePluginErrorInvalidConfig(err.Message)
	case *Transient:
		hint := wiretypes.RetryHint{Message: err.Message, AfterMs: millis(err.After)}
		return wiretypes.MakePluginErrorTransient(hint)
	case *Failed:
		return wiretypes.MakePluginErrorFailed(wiretypes.Failure{Code: err.Code, Message: err.Message})
	default:
		return wiretypes.MakePluginErrorFailed(wiretypes.Failure{Code: "error", Message: err.Error()})
	}
}
