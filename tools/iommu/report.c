// SPDX-License-Identifier: GPL-2.0
/* One description in two formats: lines for people, or JSON */
#include <stdio.h>

#include "report.h"

#define MAX_DEPTH	8

struct level {
	bool list;
	bool inlined;	/* lines: all contents on one line */
	bool filled;
};

static struct level levels[MAX_DEPTH], *top;
static bool as_json;

static void put_json_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static int indent(void)
{
	return 2 * (top - levels);
}

/* Print the start of a value */
static void begin_value(const char *name)
{
	if (as_json) {
		printf("%s\n%*s", top->filled ? "," : "", 2 + indent(), "");
	} else if (top->inlined) {
		if (top->filled || top->list)
			fputs(top->filled ? ", " : " ", stdout);
	} else {
		printf("%*s", indent(), "");
	}
	top->filled = true;
	if (!name)
		return;
	if (as_json) {
		put_json_string(name);
		fputs(": ", stdout);
		return;
	}
	for (; *name; name++)
		putchar(*name == '_' ? ' ' : *name);
	putchar(top->inlined ? ' ' : ':');
}

/* Start a value on the line of its name */
static void begin_scalar(const char *name)
{
	begin_value(name);
	if (!as_json && name && !top->inlined)
		putchar(' ');
}

static void end_value(void)
{
	if (!as_json && !top->inlined)
		putchar('\n');
}

static void push(bool list, bool inlined)
{
	top++;
	top->list = list;
	top->inlined = inlined;
	top->filled = false;
}

void report_begin(bool json)
{
	as_json = json;
	top = levels;
	*top = (struct level){};
	if (as_json)
		putchar('{');
}

void report_finish(void)
{
	if (as_json)
		puts("\n}");
}

void report_object(const char *name)
{
	if (as_json) {
		begin_value(name);
		putchar('{');
	} else if (top->list) {
		/* On a separate line below the list's */
		printf("\n%*s", indent(), "");
		top->filled = true;
	} else {
		begin_value(name);
		putchar('\n');
	}
	push(false, top->list);
}

void report_list(const char *name)
{
	begin_value(name);
	if (as_json)
		putchar('[');
	push(true, true);
}

void report_end(void)
{
	struct level closed = *top--;

	if (as_json) {
		if (closed.filled)
			printf("\n%*s", 2 + indent(), "");
		putchar(closed.list ? ']' : '}');
	} else if (closed.list) {
		puts(closed.filled ? "" : " none");
	}
}

void report_string(const char *name, const char *value)
{
	begin_scalar(name);
	if (!value)
		fputs(as_json ? "null" : "unknown", stdout);
	else if (as_json)
		put_json_string(value);
	else
		fputs(value, stdout);
	end_value();
}

void report_number(const char *name, long long value)
{
	begin_scalar(name);
	printf("%lld", value);
	end_value();
}

void report_hex(const char *name, unsigned int value)
{
	begin_scalar(name);
	printf(as_json ? "\"0x%08x\"" : "0x%08x", value);
	end_value();
}

void report_known(const char *name, enum known value)
{
	report_answer(name, value, "");
}

void report_answer(const char *name, enum known value, const char *why)
{
	static const char * const json[] = { "false", "true", "null" };
	static const char * const line[] = { "no", "yes", "unknown" };

	begin_scalar(name);
	fputs(as_json ? json[value] : line[value], stdout);
	if (*why && !as_json)
		printf(", because %s", why);
	end_value();
	if (*why && as_json) {
		char because[64];

		snprintf(because, sizeof(because), "%s_because", name);
		report_string(because, why);
	}
}
