// SPDX-License-Identifier: GPL-2.0
/* iommufd-info: iommufd features of the devices of this machine */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

/* A number; 0 means unknown */
static void report_count(const char *name, long long value)
{
	if (value)
		report_number(name, value);
	else
		report_string(name, NULL);
}

static void report_kernel(const struct kernel *kernel)
{
	int i;

	report_object("kernel");
	report_string("release", kernel->release);
	report_string("iommufd", kernel->err ? strerror(-kernel->err) : "there");
	if (kernel->err) {
		report_string("ioctls", NULL);
	} else {
		report_list("ioctls");
		for (i = 0; i < NUM_CALLS; i++)
			if (kernel->calls[i].there == YES)
				report_string(NULL, kernel->calls[i].name);
		report_end();
	}
	report_end();
}

static void report_smmu(const struct iommu_hw_info_arm_smmuv3 *smmu)
{
	static const unsigned char oas[8] = { 32, 36, 40, 42, 44, 48, 52, 56 };
	const __u32 *idr = smmu->idr;
	int i;

	report_object("smmu");
	report_list("stages");
	if (idr[0] & IDR0_S1P)
		report_number(NULL, 1);
	if (idr[0] & IDR0_S2P)
		report_number(NULL, 2);
	report_end();
	report_number("output_bits", oas[idr[5] & 7]);
	report_list("granules");
	if (idr[5] & IDR5_GRAN4K)
		report_number(NULL, 4096);
	if (idr[5] & IDR5_GRAN16K)
		report_number(NULL, 16384);
	if (idr[5] & IDR5_GRAN64K)
		report_number(NULL, 65536);
	report_end();
	report_known("ats", !!(idr[0] & IDR0_ATS));
	report_known("pri", !!(idr[0] & IDR0_PRI));
	report_known("stalls", !(idr[0] & IDR0_NO_STALLS));
	report_number("pasid_bits", (idr[1] >> 6) & 0x1f);
	report_list("idr");
	for (i = 0; i < 6; i++)
		report_hex(NULL, idr[i]);
	report_end();
	report_hex("iidr", smmu->iidr);
	report_hex("aidr", smmu->aidr);
	report_end();
}

static void report_tables(const struct device *dev)
{
	const struct table *t;

	report_list("page_tables");
	for (t = dev->tables; t < dev->tables + dev->num_tables; t++) {
		report_object(NULL);
		report_count("stage", t->stage);
		report_count("granule",
			     t->granule_shift ? 1 << t->granule_shift : 0);
		report_known("dirty_tracking",
			     !!(t->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING));
		report_known("nest_parent",
			     !!(t->flags & IOMMU_HWPT_ALLOC_NEST_PARENT));
		report_count("input_bits", t->input_bits);
		report_count("page_size", t->page_size);
		report_end();
	}
	report_end();
}

/* Data types that the IOMMU of the device supports */
static void report_types(const struct device *dev)
{
	const struct {
		const char *list;
		const char *type;
		int err;
	} types[] = {
		{ "hwpt_types", "IOMMU_HWPT_DATA_NONE", dev->plain_err },
		{ "hwpt_types", "IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE",
		  dev->shapes_err },
		{ "hwpt_types", "IOMMU_HWPT_DATA_ARM_SMMUV3", dev->nested_err },
		{ "viommu_types", "IOMMU_VIOMMU_TYPE_ARM_SMMUV3",
		  dev->viommu_err },
		{ "invalidate_types", "IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3",
		  dev->invalidate_err },
		{ "veventq_types", "IOMMU_VEVENTQ_TYPE_ARM_SMMUV3",
		  dev->veventq_err },
	};
	unsigned int i;

	for (i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (!i || strcmp(types[i].list, types[i - 1].list)) {
			if (i)
				report_end();
			report_list(types[i].list);
		}
		if (!types[i].err)
			report_string(NULL, types[i].type);
	}
	report_end();
}

static enum known in_capabilities(const struct device *dev, __u64 bit)
{
	if (!dev->asked || dev->info_err)
		return UNKNOWN;
	return !!(dev->info.out_capabilities & bit);
}

/* Older kernels never set the bit, so clear is inconclusive */
static enum known ats_usable(const struct device *dev)
{
	if (dev->ats_on == YES)
		return YES;
	if (dev->ats == NO || (is_smmu(dev) && !(dev->smmu.idr[0] & IDR0_ATS)) ||
	    in_capabilities(dev, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED) == YES)
		return NO;
	return UNKNOWN;
}

static void report_device(const struct kernel *kernel, const struct device *dev)
{
	enum known nesting;
	char why[256];

	nesting = can_nest(kernel, dev, why, sizeof(why));
	report_string("device", dev->name);
	report_string("driver", *dev->driver ? dev->driver : "none");
	report_string("iommu", *dev->iommu ? dev->iommu : NULL);
	if (dev->group < 0)
		report_string("iommu_group", NULL);
	else
		report_number("iommu_group", dev->group);
	report_answer("nesting", nesting, why);

	report_known("ats", dev->ats);
	report_known("ats_enabled", dev->ats_on);
	report_known("ats_usable", ats_usable(dev));
	report_known("pri", dev->pri);
	if (dev->pasid == UNKNOWN)
		report_string("pasid_bits", NULL);
	else
		report_number("pasid_bits", dev->pasid_bits);
	report_known("dirty_tracking",
		     in_capabilities(dev, IOMMU_HW_CAP_DIRTY_TRACKING));
	report_answer("asked", dev->asked, dev->unasked);
	if (!dev->asked)
		return;
	if (is_smmu(dev))
		report_smmu(&dev->smmu);
	else
		report_string("smmu", NULL);
	report_tables(dev);
	report_types(dev);
}

/* One line per device */
static void print_row(const struct kernel *kernel, const struct device *dev)
{
	char why[256];

	printf("%-13s %-16s %-26s ", dev->name,
	       *dev->driver ? dev->driver : "-",
	       *dev->iommu ? dev->iommu : "-");
	report_answer(NULL, can_nest(kernel, dev, why, sizeof(why)), why);
}

static void usage(FILE *to)
{
	fputs("Usage: iommufd-info [--json] [DEVICE ...]\n"
	      "Show the iommufd features of each DEVICE (such as 0000:00:02.0), or of all\n"
	      "devices, and if a guest can use their stage 1 (nesting).\n"
	      "\n"
	      "  -j, --json  print everything as JSON\n"
	      "  -h, --help  print this help\n"
	      "\n"
	      "For all fields to be known, a device must be bound to vfio-pci or another vfio\n"
	      "driver and not be in use. It is opened for that, and vfio-pci resets it.\n"
	      "Status: 0, or 1 after a failure, or 2 for a wrong option.\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct name *all = NULL;
	int num, opt, i, status = 0;
	struct kernel kernel;
	bool json = false, table;

	while ((opt = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	num = argc - optind;
	table = !num && !json;
	if (!num)
		num = sysfs_devices(&all);
	if (num < 0) {
		fprintf(stderr, "iommufd-info: %s\n", strerror(-num));
		return 1;
	}

	ask_kernel(&kernel);
	report_begin(json);
	if (table)
		printf("%-13s %-16s %-26s %s\n", "DEVICE", "DRIVER", "IOMMU",
		       "NESTING");
	else
		report_kernel(&kernel);
	if (json)
		report_list("devices");
	for (i = 0; i < num; i++) {
		const char *name = all ? all[i].s : argv[optind + i];
		struct device dev;

		if (sysfs_device(name, &dev)) {
			fprintf(stderr,
				"iommufd-info: %s: no such device; without a name, all are listed\n",
				name);
			status = 1;
			continue;
		}
		ask_device(&kernel, &dev);
		if (table) {
			print_row(&kernel, &dev);
		} else if (json) {
			report_object(NULL);
			report_device(&kernel, &dev);
			report_end();
		} else {
			putchar('\n');
			report_device(&kernel, &dev);
		}
	}
	if (json)
		report_end();
	report_finish();
	free(all);
	if (fflush(stdout) || ferror(stdout)) {
		perror("iommufd-info");
		status = 1;
	}
	return status;
}
