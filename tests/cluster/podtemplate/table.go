package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var root = reflect.TypeFor[corev1.PodTemplateSpec]()

// Types that write themselves.
var own = map[reflect.Type]string{
	reflect.TypeFor[resource.Quantity]():  "quantity",
	reflect.TypeFor[intstr.IntOrString](): "intOrString",
	reflect.TypeFor[metav1.Time]():        "time",
	reflect.TypeFor[metav1.FieldsV1]():    "raw",
}

// field is one member of an object.
type field struct {
	name string
	kind reflect.Type
	// Whether it is left out when it has nothing to say.
	optional bool
}

func writeTable(out io.Writer) {
	fmt.Fprintf(out, "# Written by tests/cluster/podtemplate from k8s.io/api %s; `make hash` writes it anew.\n", library())
	fmt.Fprintln(out, "# A type, then its fields in the order in which Go writes them. `?`: left out when empty.")
	for _, object := range objects(root) {
		fmt.Fprintf(out, "\n%s\n", object.Name())
		for _, field := range fields(object) {
			mark := ""
			if field.optional {
				mark = "?"
			}
			fmt.Fprintf(out, "  %s%s %s\n", field.name, mark, notation(field.kind))
		}
	}
}

// notation is how the table names a type.
func notation(kind reflect.Type) string {
	if name, known := own[kind]; known {
		return name
	}
	switch kind.Kind() {
	case reflect.Pointer:
		return "*" + notation(kind.Elem())
	case reflect.Slice:
		return "[]" + notation(kind.Elem())
	case reflect.Map:
		return "{}" + notation(kind.Elem())
	case reflect.Struct:
		return kind.Name()
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "int"
	default:
		panic(fmt.Sprintf("no notation for %v: teach it to this program and to hash.rs", kind))
	}
}

// fields lists the members of an object as encoding/json finds them.
func fields(object reflect.Type) []field {
	var found []field
	for member := range members(object) {
		name, options, _ := strings.Cut(member.Tag.Get("json"), ",")
		if name == "-" || !member.IsExported() {
			continue
		}
		if name == "" {
			if !member.Anonymous {
				panic(fmt.Sprintf("%v.%s has no name", object, member.Name))
			}
			found = append(found, fields(member.Type)...)
			continue
		}
		optional := false
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				// A structure is never empty to Go.
				optional = optional || member.Type.Kind() != reflect.Struct
			case "omitzero":
				if member.Type != reflect.TypeFor[metav1.Time]() {
					panic(fmt.Sprintf("%v.%s: omitzero is only known of times", object, member.Name))
				}
				optional = true
			case "", "inline":
			default:
				panic(fmt.Sprintf("%v.%s: the option %q is not known", object, member.Name, option))
			}
		}
		found = append(found, field{name, member.Type, optional})
	}
	return found
}

func members(object reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range object.NumField() {
			if !yield(object.Field(i)) {
				return
			}
		}
	}
}

// objects lists every structure that is reached from a type, each once, nearest first.
func objects(from reflect.Type) []reflect.Type {
	found := []reflect.Type{from}
	seen := map[reflect.Type]bool{from: true}
	for i := 0; i < len(found); i++ {
		for _, field := range fields(found[i]) {
			kind := element(field.kind)
			if kind.Kind() == reflect.Struct && !seen[kind] && own[kind] == "" {
				seen[kind] = true
				found = append(found, kind)
			}
		}
	}
	return found
}

// element is the type inside of pointers, lists and maps.
func element(kind reflect.Type) reflect.Type {
	for own[kind] == "" && (kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice || kind.Kind() == reflect.Map) {
		kind = kind.Elem()
	}
	return kind
}
