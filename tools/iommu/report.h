/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One description in two formats: lines for people, or JSON. Names are JSON
 * names; lines have blanks for underscores. An unknown value is null in JSON
 * and "unknown" in a line.
 */
#ifndef IOMMUFD_INFO_REPORT_H
#define IOMMUFD_INFO_REPORT_H

#include <stdbool.h>

enum known {
	NO,
	YES,
	UNKNOWN,
};

/* Call before any other function; everything else is inside one object */
void report_begin(bool json);
void report_finish(void);

/* @name is NULL for a value in a list. An object in a list takes one line. */
void report_object(const char *name);
void report_list(const char *name);
void report_end(void);

/* @value is NULL if unknown */
void report_string(const char *name, const char *value);
void report_number(const char *name, long long value);
void report_hex(const char *name, unsigned int value);
void report_known(const char *name, enum known value);

/* With a reason if @why is not empty: "NAME_because" in JSON */
void report_answer(const char *name, enum known value, const char *why);

#endif
