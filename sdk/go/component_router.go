//go:build wasip1

package sdk

import (
	"encoding/json"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	export "sluice.dev/sdk/internal/wit/export_sluice_traffic_router"
	wiretypes "sluice.dev/sdk/internal/wit/sluice_plugin_types"
	wire "sluice.dev/sdk/internal/wit/sluice_traffic_types"
)

// ExportRouter makes a router the component's, once, from a function init.
func ExportRouter[C any](router Router[C]) {
	functions := RouterFunctionsOf(router)
	export.Router = export.Functions{
		Capabilities: functions.Capabilities,
		Validate:     func(config string) export.Done { return done(functions.Validate(config)) },
		References: func(wanted wire.Routing, found []string) export.Queries {
			queries, err := functions.References(routingOf(wanted), wanted.Config, found)
			return listed(queries, err, wireQuery)
		},
		Route: func(wanted wire.Routing, objects []string) export.Changes {
			changes, err := functions.Route(routingOf(wanted), wanted.Config, objects)
			return listed(changes, err, wireChange)
		},
		Verify: func(wanted wire.Routing, objects []string) export.Verified {
			return verified(functions.Verify(routingOf(wanted), wanted.Config, objects))
		},
		Release: func(last wire.Routing, objects []string) export.Changes {
			changes, err := functions.Release(routingOf(last), last.Config, objects)
			return listed(changes, err, wireChange)
		},
	}
}

// listed is a list as the host knows it.
func listed[A, B any](
	items []A, err error, to func(A) (B, error),
) witTypes.Result[[]B, wiretypes.PluginError] {
	list := make([]B, 0, len(items))
	for _, item := range items {
		if err != nil {
			break
		}
		var one B
		one, err = to(item)
		list = append(list, one)
	}
	if err != nil {
		return witTypes.Err[[]B, wiretypes.PluginError](pluginError(err))
	}
	return witTypes.Ok[[]B, wiretypes.PluginError](list)
}

func wireQuery(query ObjectQuery) (wire.ObjectQuery, error) {
	return wire.ObjectQuery{
		ApiVersion:    query.APIVersion,
		Kind:          query.Kind,
		Namespace:     unlessEmpty(query.Namespace),
		Name:          unlessEmpty(query.Name),
		LabelSelector: unlessEmpty(query.LabelSelector),
	}, nil
}

func unlessEmpty(text string) witTypes.Option[string] {
	if text == "" {
		return witTypes.None[string]()
	}
	return witTypes.Some(text)
}

func wireChange(change Change) (wire.Change, error) {
	switch change := change.(type) {
	case Put:
		text, err := marshal(change.Object)
		return wire.MakeChangePut(text), err
	case Remove:
		return wire.MakeChangeRemove(wiretypes.ObjectRef{
			ApiVersion: change.Ref.APIVersion,
			Kind:       change.Ref.Kind,
			Namespace:  unlessEmpty(change.Ref.Namespace),
			Name:       change.Ref.Name,
		}), nil
	default:
		return wire.Change{}, &Failed{Code: "no-changes", Message: "a change is neither Put nor Remove"}
	}
}

func verified(found Verification, err error) export.Verified {
	var verification wire.Verification
	switch found := found.(type) {
	case Converged:
		verification = wire.MakeVerificationConverged()
	case Pending:
		verification = wire.MakeVerificationPending(found.Missing)
	case CannotTell:
		verification = wire.MakeVerificationCannotTell()
	default:
		if err == nil {
			err = &Failed{Code: "no-verification", Message: "the router answered no verification"}
		}
	}
	if err != nil {
		return witTypes.Err[wire.Verification, wiretypes.PluginError](pluginError(err))
	}
	return witTypes.Ok[wire.Verification, wiretypes.PluginError](verification)
}

func routingOf(wanted wire.Routing) Routing {
	return Routing{
		Namespace:     wanted.Namespace,
		Rollout:       wanted.Rollout,
		RolloutUID:    wanted.RolloutUid,
		Stable:        destination(wanted.Stable),
		Canary:        destination(wanted.Canary),
		Additional:    each(wanted.Additional, destination),
		TotalWeight:   wanted.TotalWeight,
		HeaderRoutes:  each(wanted.HeaderRoutes, headerRoute),
		MirrorRoutes:  each(wanted.MirrorRoutes, mirrorRoute),
		ManagedRoutes: wanted.ManagedRoutes,
		Extensions:    json.RawMessage(wanted.Extensions),
	}
}

func each[A, B any](items []A, to func(A) B) []B {
	list := make([]B, 0, len(items))
	for _, item := range items {
		list = append(list, to(item))
	}
	return list
}

func destination(d wire.Destination) Destination {
	return Destination{Service: d.Service, PodHash: d.PodHash, Weight: d.Weight}
}

func stringMatch(match wire.StringMatch) StringMatch {
	switch match.Tag() {
	case wire.StringMatchExact:
		return StringMatch{Exact, match.Exact()}
	case wire.StringMatchPrefix:
		return StringMatch{Prefix, match.Prefix()}
	default:
		return StringMatch{Regex, match.Regex()}
	}
}

func maybeMatch(match witTypes.Option[wire.StringMatch]) *StringMatch {
	if match.IsNone() {
		return nil
	}
	found := stringMatch(match.Some())
	return &found
}

func headerMatch(match wire.HeaderMatch) HeaderMatch {
	return HeaderMatch{Name: match.Name, Value: stringMatch(match.Value)}
}

func headerRoute(route wire.HeaderRoute) HeaderRoute {
	return HeaderRoute{Name: route.Name, Headers: each(route.Headers, headerMatch)}
}

func mirrorRoute(route wire.MirrorRoute) MirrorRoute {
	matches := each(route.Matches, func(match wire.MirrorMatch) MirrorMatch {
		return MirrorMatch{
			Method:  maybeMatch(match.Method),
			Path:    maybeMatch(match.Path),
			Headers: each(match.Headers, headerMatch),
		}
	})
	return MirrorRoute{Name: route.Name, Matches: matches, Percentage: route.Percentage}
}
