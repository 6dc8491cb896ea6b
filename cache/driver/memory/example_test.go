package memory_test

import (
	"context"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/codec"
)

// Two stores on the same data are like two programs on one directory.
func ExampleData() {
	ctx := context.Background()
	var data memory.Data
	writer, reader := data.Open(nil), data.Open(&memory.Options{ReadOnly: true})
	defer writer.Close()
	defer reader.Close()

	spec := driver.Spec{Settings: driver.DefaultSettings()}
	c, err := writer.Open(ctx, "greetings", spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = writer.Update(ctx, driver.Alone, func(tx driver.Tx) error {
		_, err := tx.Put(ctx, c, driver.Put{Key: codec.TextValue("en"), Value: codec.TextValue("hello"), Now: 1})
		return err
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	c, err = reader.Open(ctx, "greetings", spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	row, found, err := reader.Get(ctx, c, codec.TextValue("en"), driver.Lookup{Now: 2})
	fmt.Println(row.Value.Text(), found, err)
	// Output: hello true <nil>
}
