package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// command is one line: its operation and its arguments.
type command struct {
	op        string
	arguments map[string]string
}

func parse(line string) (command, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return command{}, errors.New("an empty command")
	}
	c := command{op: words[0], arguments: map[string]string{}}
	for _, word := range words[1:] {
		key, value, found := strings.Cut(word, "=")
		text, err := url.PathUnescape(value)
		if !found || err != nil {
			return c, fmt.Errorf("%q is no argument", word)
		}
		c.arguments[key] = text
	}
	return c, nil
}

func encode(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

func (c command) has(key string) bool {
	_, found := c.arguments[key]
	return found
}

func (c command) flag(key string) bool { return c.arguments[key] == "1" }

func (c command) text(key string) (string, error) {
	if !c.has(key) {
		return "", fmt.Errorf("%s needs %s", c.op, key)
	}
	return c.arguments[key], nil
}

// number returns an argument up to 2^64-1.
func (c command) number(key string) (uint64, error) {
	text, err := c.text(key)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

// numberOr is number for an argument that may be missing.
func (c command) numberOr(key string, otherwise uint64) (uint64, error) {
	if !c.has(key) {
		return otherwise, nil
	}
	return c.number(key)
}

func (c command) bytes(key string) ([]byte, error) {
	text, err := c.text(key)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(text)
}

// span returns the range that offset and len give, of an object with so many bytes. Numbers that no int holds become
// negative ones, which are refused as well.
func (c command) span(limit int) (offset, length int, err error) {
	first, err := c.numberOr("offset", 0)
	if err != nil {
		return 0, 0, err
	}
	rest := uint64(0)
	if first < uint64(limit) {
		rest = uint64(limit) - first
	}
	count, err := c.numberOr("len", rest)
	return int(first), int(count), err
}
