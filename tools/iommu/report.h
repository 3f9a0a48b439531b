/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One description, two ways to write it: lines for people, or JSON. Names are
 * JSON's; lines have blanks for underscores. What is not known is null in JSON
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

/* Before anything else; all the rest is within one object */
void report_begin(bool json);
void report_finish(void);

/* @name is NULL for a bare value, as in a list, whose objects are one line each */
void report_object(const char *name);
void report_list(const char *name);
void report_end(void);

/* @value may be NULL: not known */
void report_string(const char *name, const char *value);
void report_number(const char *name, long long value);
void report_hex(const char *name, unsigned int value);
void report_known(const char *name, enum known value);

/* With a reason, if @why is not empty: "NAME_because" in JSON */
void report_answer(const char *name, enum known value, const char *why);

#endif
