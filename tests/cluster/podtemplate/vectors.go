package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// writeVectors prints one line for each template: its hash, and the template as the API server
// might hold it, which is not the form that is hashed.
func writeVectors(out io.Writer) {
	fmt.Fprintf(out, "# Written by tests/cluster/podtemplate with k8s.io/api %s; `make hash` writes it anew.\n", library())
	for _, template := range append(written(), systematic()...) {
		fmt.Fprintf(out, "%s %s\n", hash(template), template)
	}
}

// hash is what Argo Rollouts names a revision after when nothing collided.
func hash(template []byte) string {
	var typed corev1.PodTemplateSpec
	if err := json.Unmarshal(template, &typed); err != nil {
		fmt.Fprintf(os.Stderr, "podtemplate: %s: %v\n", template, err)
		os.Exit(1)
	}
	text, err := json.Marshal(&typed)
	if err != nil {
		fmt.Fprintf(os.Stderr, "podtemplate: %s: %v\n", template, err)
		os.Exit(1)
	}
	sum := fnv.New32a()
	sum.Write(text)
	return rand.SafeEncodeString(fmt.Sprint(sum.Sum32()))
}

// written are the templates of corpus.go, one line each.
func written() [][]byte {
	var lines [][]byte
	for _, text := range corpus {
		var line bytes.Buffer
		if err := json.Compact(&line, []byte(text)); err != nil {
			fmt.Fprintf(os.Stderr, "podtemplate: %s: %v\n", text, err)
			os.Exit(1)
		}
		lines = append(lines, line.Bytes())
	}
	return lines
}

// systematic has, for every type, a template in which all of its fields say something, and one in
// which all are there and say nothing.
func systematic() [][]byte {
	var lines [][]byte
	seen := map[reflect.Type]bool{}
	var visit func(object reflect.Type, wrap func(any) any)
	visit = func(object reflect.Type, wrap func(any) any) {
		if seen[object] {
			return
		}
		seen[object] = true
		full, blank := map[string]any{}, map[string]any{}
		for i, field := range fields(object) {
			full[field.name] = something(field.kind, i)
			blank[field.name] = nothing(field.kind, i)
		}
		for _, value := range []any{full, blank} {
			line, err := json.Marshal(wrap(value))
			if err != nil {
				panic(err)
			}
			lines = append(lines, line)
		}
		for _, field := range fields(object) {
			if kind := element(field.kind); kind.Kind() == reflect.Struct && own[kind] == "" {
				visit(kind, func(inner any) any {
					return wrap(map[string]any{field.name: around(field.kind, inner)})
				})
			}
		}
	}
	visit(root, func(template any) any { return template })
	return lines
}

// around puts an object into the lists and maps of a field's type.
func around(kind reflect.Type, inner any) any {
	switch {
	case kind.Kind() == reflect.Pointer:
		return around(kind.Elem(), inner)
	case kind.Kind() == reflect.Slice:
		return []any{around(kind.Elem(), inner)}
	case kind.Kind() == reflect.Map:
		return map[string]any{"key": around(kind.Elem(), inner)}
	default:
		return inner
	}
}

// something is a value that is not left out.
func something(kind reflect.Type, turn int) any {
	switch own[kind] {
	case "quantity":
		return quantities[turn%len(quantities)]
	case "intOrString":
		return []any{8080, "http", 0, ""}[turn%4]
	case "time":
		return "2024-02-03T04:05:06Z"
	case "raw":
		return map[string]any{"f:b": map[string]any{}, "f:a": "<"}
	}
	switch kind.Kind() {
	case reflect.Pointer:
		// A pointer to nothing much is still something.
		if turn%2 == 0 && element(kind).Kind() != reflect.Struct {
			return nothing(kind.Elem(), 1)
		}
		return something(kind.Elem(), turn)
	case reflect.Slice:
		return []any{something(kind.Elem(), turn), something(kind.Elem(), turn+1)}
	case reflect.Map:
		return map[string]any{"z": something(kind.Elem(), turn), "A": something(kind.Elem(), turn+1)}
	case reflect.Struct:
		return map[string]any{}
	case reflect.String:
		return []string{"text", "a<b> & \"c\"\\", "ü\u2028\t"}[turn%3]
	case reflect.Bool:
		return true
	default:
		return 7 + turn
	}
}

// nothing is a value that says no more than its absence, or null.
func nothing(kind reflect.Type, turn int) any {
	if turn%3 == 2 {
		return nil
	}
	switch own[kind] {
	case "quantity":
		return "0"
	case "intOrString":
		return 0
	case "time", "raw":
		return nil
	}
	switch kind.Kind() {
	case reflect.Pointer:
		return nothing(kind.Elem(), 1)
	case reflect.Slice:
		return []any{}
	case reflect.Map, reflect.Struct:
		return map[string]any{}
	case reflect.String:
		return ""
	case reflect.Bool:
		return false
	default:
		return 0
	}
}

var quantities = []any{"0.5", "1000m", "1024Mi", "1.5Gi", 2, "100n", "12e6", "0.1Ki"}
