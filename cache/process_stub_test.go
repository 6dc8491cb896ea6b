//go:build linux

package cache_test

func addingChild(*inChild) error   { return nil }
func churningChild(*inChild) error { return nil }
func creatingChild(*inChild) error { return nil }
func holdingChild(*inChild) error  { return nil }
func rightsChild(*inChild) error   { return nil }
