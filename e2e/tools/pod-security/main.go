// Asks the Pod Security admission of Kubernetes itself what it says of its own fixtures, so that the product can be
// compared with it: reads the pods below the folder given and prints each with the verdict for level restricted.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

type fixture struct {
	Name    string          `json:"name"`
	Pod     json.RawMessage `json:"pod"`
	Allowed bool            `json:"allowed"`
	Why     string          `json:"why"`
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: pod-security TESTDATA VERSION"))
	}
	fixtures, err := judge(os.Args[1], os.Args[2])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(fixtures); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "pod-security:", err)
	os.Exit(1)
}

func judge(testdata, version string) ([]fixture, error) {
	parsed, err := api.ParseVersion(version)
	if err != nil {
		return nil, err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), &parsed)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(testdata, "*", version, "*", "*.yaml"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	out := make([]fixture, 0, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var pod corev1.Pod
		if err := yaml.UnmarshalStrict(text, &pod); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		// As the API server does before admission: a volume of no kind is an emptyDir.
		for i := range pod.Spec.Volumes {
			if pod.Spec.Volumes[i].VolumeSource == (corev1.VolumeSource{}) {
				pod.Spec.Volumes[i].EmptyDir = &corev1.EmptyDirVolumeSource{}
			}
		}
		raw, err := json.Marshal(pod)
		if err != nil {
			return nil, err
		}
		level := api.LevelVersion{Level: api.LevelRestricted, Version: parsed}
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
		name, err := filepath.Rel(testdata, file)
		if err != nil {
			return nil, err
		}
		// The folder of a fixture of this level is its verdict too.
		if folder := filepath.Base(filepath.Dir(file)); result.Allowed != (folder == "pass") && filepath.Dir(name) == filepath.Join("restricted", version, folder) {
			return nil, fmt.Errorf("%s: the verdict is %v", name, result.Allowed)
		}
		out = append(out, fixture{Name: name, Pod: raw, Allowed: result.Allowed, Why: result.ForbiddenDetail()})
	}
	return out, nil
}
