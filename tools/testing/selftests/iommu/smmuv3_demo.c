// SPDX-License-Identifier: GPL-2.0
/*
 * The steps by which a VMM gives its guest a hardware SMMUv3, with a device
 * that does DMA. The exit status is 0 only if every byte is where it should be.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../kselftest.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/smmuv3.h"
#include "lib/vfio.h"

/* The guest's memory map */
#define TABLES_IPA	0x40000000ULL
#define TABLES_SIZE	0x100000UL
#define DATA_IPA	0x100000000ULL
#define PAGE_A		0
#define PAGE_B		1
#define PAGE_MBOX	2
#define NR_PAGES	3
#define MSI_WINDOW	0x8000000ULL
#define MSI_WINDOW_SIZE	0x100000ULL

/* Choices of the guest */
#define GUEST_VA	0x765432000000ULL
#define ASID		42
#define VSID		0x10
#define UNMAPPED_VA	(GUEST_VA + 0x40000000ULL)

/* Event, 7.3.13 */
#define F_TRANSLATION	0x10

/* IOVA in a kernel-owned page table with chosen geometry, without a guest */
#define WRITE_ONLY_IOVA	0x200000ULL

#define WAIT_MSEC	2000

static struct vfio_pci pci;
static struct edu edu;
static struct iommu_hw_info_arm_smmuv3 info;
static struct smmuv3_mem tables = { .ipa = TABLES_IPA, .size = TABLES_SIZE };
static size_t page_size;
static void *data;

static __noreturn __printf(1, 2) void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("smmuv3_demo: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* For calls that fail only on a broken kernel */
static void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s", what, strerror(-ret));
}

static __printf(1, 2) void step(const char *fmt, ...)
{
	static int nr;
	va_list ap;

	printf("\n%d. ", ++nr);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void *page_ptr(int i)
{
	return data + i * page_size;
}

static __u64 page_ipa(int i)
{
	return DATA_IPA + i * page_size;
}

static const char *result_name(enum edu_result result)
{
	switch (result) {
	case EDU_MOVED:
		return "the bytes are there";
	case EDU_BLOCKED:
		return "blocked, no byte has moved";
	case EDU_GARBLED:
		return "other bytes than expected";
	case EDU_NO_MBOX:
		return "the device can't reach its mailbox";
	default:
		return "the device does not finish";
	}
}

static __printf(3, 4) void expect(enum edu_result want, enum edu_result got,
				  const char *fmt, ...)
{
	va_list ap;

	printf("   ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %s\n", result_name(got));
	if (got != want)
		die("expected instead: %s", result_name(want));
}

/* Test both directions, each with new bytes */
static void expect_dma(__u64 iova, const char *where, int page)
{
	expect(EDU_MOVED, edu_write(&edu, iova, page_ptr(page)),
	       "DMA write of %d bytes at %s %#llx -> IPA %#llx", EDU_DMA_LEN,
	       where, iova, page_ipa(page));
	expect(EDU_MOVED, edu_read(&edu, iova, page_ptr(page)),
	       "DMA read  of %d bytes at %s %#llx <- IPA %#llx", EDU_DMA_LEN,
	       where, iova, page_ipa(page));
}

static void expect_msi(int efd, const char *when)
{
	struct pollfd pfd = { .fd = efd, .events = POLLIN };
	__u64 count = 0;

	edu_irq_raise(&edu);
	if (poll(&pfd, 1, WAIT_MSEC) != 1 ||
	    read(efd, &count, sizeof(count)) != sizeof(count))
		die("no MSI within %d ms %s", WAIT_MSEC, when);
	edu_irq_ack(&edu);
	printf("   MSI received %s\n", when);
}

static void open_device(int *fd)
{
	int ret;

	*fd = iommufd_open();
	if (*fd < 0)
		die("/dev/iommu: %s; the kernel needs CONFIG_IOMMUFD, and this program root",
		    strerror(-*fd));
	ret = vfio_pci_find(&pci, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret)
		die("no edu device (1234:11e8); give QEMU -device edu,dma_mask=0xffffffffffffffff");
	ret = vfio_pci_take(&pci);
	if (ret)
		die("vfio-pci refuses %s (%s); check CONFIG_VFIO_PCI, QEMU -M virt,iommu=smmuv3",
		    pci.bdf, strerror(-ret));
	ret = vfio_pci_open(&pci);
	if (ret)
		die("no vfio cdev of %s (%s); check CONFIG_VFIO_DEVICE_CDEV, and devtmpfs on /dev",
		    pci.bdf, strerror(-ret));
	must(vfio_pci_bind_iommufd(&pci, *fd), "VFIO_DEVICE_BIND_IOMMUFD");
	must(vfio_pci_map_bar0(&pci), "mapping BAR0");
	must(vfio_pci_set_master(&pci), "setting the bus master bit");
	edu.bar = pci.bar0;
	must(edu_init(&edu), "edu");
	printf("   device %s is iommufd object %u\n", pci.bdf, pci.dev_id);
}

static void show_field(const char *name, unsigned int value, const char *means)
{
	printf("   %-14s %-6u %s\n", name, value, means);
}

static void show_smmu(int fd)
{
	static const char * const oas[] = { "32", "36", "40", "42", "44", "48",
					    "52", "?" };
	__u32 type, len = sizeof(info);
	__u32 *idr = info.idr;
	__u64 caps;
	int i;

	must(iommufd_hw_info(fd, pci.dev_id, &type, &info, &len, &caps),
	     "IOMMU_GET_HW_INFO");
	if (type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		die("no SMMUv3, or a kernel that can't describe it (hw_info type %u)",
		    type);
	printf("   type %u, %u bytes, flags %#x\n  ", type, len, info.flags);
	for (i = 0; i < 6; i++)
		printf(" IDR%d 0x%08x", i, idr[i]);
	printf("\n   IIDR 0x%08x AIDR 0x%08x\n", info.iidr, info.aidr);

	show_field("S1P", !!(idr[0] & IDR0_S1P), "stage 1");
	show_field("S2P", !!(idr[0] & IDR0_S2P), "stage 2");
	show_field("ASID16", !!(idr[0] & IDR0_ASID16), "16-bit ASIDs");
	show_field("TTF", smmuv3_get(IDR0_TTF, idr[0]),
		   "2 or 3: AArch64 tables");
	show_field("TTENDIAN", smmuv3_get(IDR0_TTENDIAN, idr[0]),
		   "2: little endian, 0: both");
	show_field("CD2L", !!(idr[0] & IDR0_CD2L), "two-level CD tables");
	show_field("ST_LEVEL", smmuv3_get(IDR0_ST_LEVEL, idr[0]),
		   "1: two-level stream tables");
	show_field("STALL_MODEL", smmuv3_get(IDR0_STALL_MODEL, idr[0]),
		   "0: stalls, 1: none, 2: forced");
	show_field("TERM_MODEL", !!(idr[0] & IDR0_TERM_MODEL),
		   "1: faults always abort");
	show_field("ATS", !!(idr[0] & IDR0_ATS),
		   caps & IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED ?
		   "not for this device" : "for this device too");
	show_field("SIDSIZE", smmuv3_get(IDR1_SIDSIZE, idr[1]),
		   "bits of a StreamID");
	show_field("SSIDSIZE", smmuv3_get(IDR1_SSIDSIZE, idr[1]),
		   "bits of a SubstreamID");
	show_field("RIL", !!(idr[3] & IDR3_RIL), "range invalidation");
	show_field("BBML", smmuv3_get(IDR3_BBML, idr[3]),
		   "changing block sizes without a break");
	show_field("FWB", !!(idr[3] & IDR3_FWB),
		   "stage 2 can force write-back");
	printf("   %-14s %-6s bits of output addresses\n", "OAS",
	       oas[smmuv3_get(IDR5_OAS, idr[5])]);
	printf("   %-14s %s%s%s\n", "granules",
	       idr[5] & IDR5_GRAN4K ? "4K " : "",
	       idr[5] & IDR5_GRAN16K ? "16K " : "",
	       idr[5] & IDR5_GRAN64K ? "64K" : "");
}

static __u32 alloc_stage2(int fd)
{
	__u32 ioas, s2;
	int ret;

	must(iommufd_ioas_alloc(fd, &ioas), "IOMMU_IOAS_ALLOC");
	printf("   IOAS %u: the guest's physical memory\n", ioas);

	page_size = sysconf(_SC_PAGESIZE);
	tables.va = mmap(NULL, TABLES_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	data = mmap(NULL, NR_PAGES * page_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (tables.va == MAP_FAILED || data == MAP_FAILED)
		die("no memory");
	must(iommufd_ioas_map(fd, ioas, tables.va, TABLES_SIZE, TABLES_IPA,
			      IOMMU_IOAS_MAP_READABLE |
			      IOMMU_IOAS_MAP_WRITEABLE), "IOMMU_IOAS_MAP");
	must(iommufd_ioas_map(fd, ioas, data, NR_PAGES * page_size, DATA_IPA,
			      IOMMU_IOAS_MAP_READABLE |
			      IOMMU_IOAS_MAP_WRITEABLE), "IOMMU_IOAS_MAP");
	printf("   IPA %#llx: %lu KiB for tables; IPA %#llx: %d pages\n",
	       TABLES_IPA, TABLES_SIZE / 1024, DATA_IPA, NR_PAGES);

	ret = iommufd_hwpt_alloc(fd, pci.dev_id, ioas,
				 IOMMU_HWPT_ALLOC_NEST_PARENT, &s2);
	if (ret == -EOPNOTSUPP && smmuv3_why_no_nesting(&info))
		die("no nest parent here: %s; QEMU 10 with -M virt has both",
		    smmuv3_why_no_nesting(&info));
	must(ret, "IOMMU_HWPT_ALLOC of a nest parent");
	printf("   HWPT %u: stage 2, a nest parent, on IOAS %u\n", s2, ioas);
	return s2;
}

static __u32 alloc_viommu(int fd, __u32 s2)
{
	__u32 viommu;
	int ret;

	ret = iommufd_viommu_alloc(fd, pci.dev_id, s2,
				   IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &viommu);
	if (ret == -EOPNOTSUPP && smmuv3_why_no_nesting(&info))
		die("no nesting: %s; boot with that parameter if all is coherent",
		    smmuv3_why_no_nesting(&info));
	must(ret, "IOMMU_VIOMMU_ALLOC");
	printf("   vIOMMU %u on HWPT %u: what this guest has of the SMMU\n",
	       viommu, s2);
	return viommu;
}

static __u32 alloc_nested(int fd, __u32 viommu, const char *name,
			  struct iommu_hwpt_arm_smmuv3 ste)
{
	__u32 hwpt;

	must(iommufd_hwpt_alloc_ste(fd, pci.dev_id, viommu, ste, &hwpt),
	     "IOMMU_HWPT_ALLOC of a vSTE");
	printf("   HWPT %u on vIOMMU %u: vSTE 0x%016llx 0x%016llx, %s\n", hwpt,
	       viommu, (unsigned long long)le64toh(ste.ste[0]),
	       (unsigned long long)le64toh(ste.ste[1]), name);
	return hwpt;
}

static void attach(__u32 hwpt, const char *name)
{
	must(vfio_pci_attach(&pci, hwpt), "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	printf("   attached to HWPT %u, %s\n", hwpt, name);
}

/* Stage 1 makes a write-only mapping readable, stage 2 does not */
static void show_stage(int fd, __u32 ioas, unsigned int stage)
{
	struct iommu_hwpt_arm_smmuv3_pgtable shape = {
		.stage = stage,
		.input_bits = 40,
		.granule_shift = 12,
	};
	__u32 hwpt;

	must(iommufd_hwpt_alloc_data(fd, pci.dev_id, ioas, 0,
				     IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE, &shape,
				     sizeof(shape), &hwpt),
	     "IOMMU_HWPT_ALLOC of a page table by parameters");
	printf("   HWPT %u on IOAS %u: stage %u, %u input bits, %u KiB granule\n",
	       hwpt, ioas, stage, shape.input_bits,
	       1U << (shape.granule_shift - 10));
	attach(hwpt, "the kernel's alone");
	expect(EDU_MOVED, edu_fill(&edu), "device buffer filled");
	expect(EDU_MOVED, edu_write(&edu, WRITE_ONLY_IOVA, page_ptr(PAGE_A)),
	       "DMA write at IOVA %#llx, a write-only mapping",
	       WRITE_ONLY_IOVA);
	expect(stage == 1 ? EDU_MOVED : EDU_BLOCKED,
	       edu_read(&edu, WRITE_ONLY_IOVA, page_ptr(PAGE_A)),
	       "DMA read  at IOVA %#llx, by stage %u", WRITE_ONLY_IOVA, stage);
	must(vfio_pci_detach(&pci), "VFIO_DEVICE_DETACH_IOMMUFD_PT");
	must(iommufd_destroy(fd, hwpt), "IOMMU_DESTROY of a page table");
}

static void show_stages(int fd)
{
	__u32 ioas;

	must(iommufd_ioas_alloc(fd, &ioas), "IOMMU_IOAS_ALLOC");
	must(iommufd_ioas_map(fd, ioas, page_ptr(PAGE_MBOX), page_size,
			      edu.mbox_iova, IOMMU_IOAS_MAP_READABLE |
			      IOMMU_IOAS_MAP_WRITEABLE), "IOMMU_IOAS_MAP");
	must(iommufd_ioas_map(fd, ioas, page_ptr(PAGE_A), page_size,
			      WRITE_ONLY_IOVA, IOMMU_IOAS_MAP_WRITEABLE),
	     "IOMMU_IOAS_MAP");
	show_stage(fd, ioas, 1);
	show_stage(fd, ioas, 2);
	must(iommufd_destroy(fd, ioas), "IOMMU_DESTROY of the IOAS");
}

static void send_command(int fd, __u32 viommu, const char *name,
			 struct smmuv3_cmd cmd)
{
	__u32 num = 1;

	must(iommufd_invalidate(fd, viommu,
				IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, &cmd,
				sizeof(cmd), &num), "IOMMU_HWPT_INVALIDATE");
	if (num != 1)
		die("IOMMU_HWPT_INVALIDATE: %u commands done, not 1", num);
	printf("   %s 0x%016llx 0x%016llx: done\n", name,
	       (unsigned long long)le64toh(cmd.dw[0]),
	       (unsigned long long)le64toh(cmd.dw[1]));
}

static void show_event(int fd, __u32 viommu)
{
	struct {
		struct iommufd_vevent_header header;
		struct iommu_vevent_arm_smmuv3 event;
	} record;
	struct pollfd pfd = { .events = POLLIN };
	__u32 veventq;
	__u64 evt[3];
	int i;

	must(iommufd_veventq_alloc(fd, viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
				   16, &veventq, &pfd.fd),
	     "IOMMU_VEVENTQ_ALLOC");
	printf("   vEVENTQ %u: the events of vIOMMU %u, 16 at a time\n", veventq,
	       viommu);

	must(edu_store(&edu, UNMAPPED_VA, 4), "DMA write");
	if (poll(&pfd, 1, WAIT_MSEC) != 1 ||
	    read(pfd.fd, &record, sizeof(record)) != sizeof(record))
		die("no event within %d ms", WAIT_MSEC);
	for (i = 0; i < 3; i++)
		evt[i] = le64toh(record.event.evt[i]);
	printf("   event %#llx, number %u: StreamID %#llx, VA %#llx\n",
	       evt[0] & 0xff, record.header.sequence, evt[0] >> 32, evt[2]);
	if (record.header.flags || (evt[0] & 0xff) != F_TRANSLATION ||
	    evt[0] >> 32 != VSID || evt[2] != UNMAPPED_VA)
		die("expected event %#x of StreamID %#x at VA %#llx",
		    F_TRANSLATION, VSID, UNMAPPED_VA);

	/* DESTROY is refused while the file descriptor is open */
	close(pfd.fd);
	must(iommufd_destroy(fd, veventq), "IOMMU_DESTROY of the vEVENTQ");
}

static __u64 build_stage1(struct smmuv3_s1 *s1)
{
	__u64 cd;
	int ret;

	/* Map the mailbox and the MSI window at VA = IPA, page A at GUEST_VA */
	ret = smmuv3_s1_init(s1, &tables, 12, 48);
	if (!ret)
		ret = smmuv3_s1_map(s1, edu.mbox_iova, edu.mbox_iova, 4096,
				    S1_RW);
	if (!ret)
		ret = smmuv3_s1_map(s1, MSI_WINDOW, MSI_WINDOW, MSI_WINDOW_SIZE,
				    S1_DEVICE);
	if (!ret)
		ret = smmuv3_s1_map(s1, GUEST_VA, page_ipa(PAGE_A), 4096,
				    S1_RW);
	must(ret, "building stage 1");
	cd = smmuv3_cd_alloc(&tables);
	if (!cd)
		die("building stage 1: no memory");
	smmuv3_cd_write(&tables, cd, s1, ASID,
			smmuv3_get(IDR5_OAS, info.idr[5]));
	printf("   tables at IPA %#llx, 4K granule, 48 bits: VA %#llx -> IPA %#llx\n",
	       s1->root, GUEST_VA, page_ipa(PAGE_A));
	printf("   MSI window %#llx maps to itself: the doorbell is in stage 2 there\n",
	       MSI_WINDOW);
	printf("   context descriptor at IPA %#llx, ASID %d\n", cd, ASID);
	return cd;
}

int main(void)
{
	__u32 s2, viommu, vdev, nested, bypass, abort_hwpt;
	struct smmuv3_s1 s1;
	int fd, efd;
	__u64 cd;

	setvbuf(stdout, NULL, _IOLBF, 0);

	step("Device");
	open_device(&fd);

	step("What the SMMU can do (IOMMU_GET_HW_INFO)");
	show_smmu(fd);

	step("Stage 2, the kernel's");
	s2 = alloc_stage2(fd);
	edu.mbox = page_ptr(PAGE_MBOX);
	edu.mbox_iova = page_ipa(PAGE_MBOX);

	step("vIOMMU and vDEVICE");
	viommu = alloc_viommu(fd, s2);
	must(iommufd_vdevice_alloc(fd, viommu, pci.dev_id, VSID, &vdev),
	     "IOMMU_VDEVICE_ALLOC");
	printf("   vDEVICE %u: device %u has StreamID %#x in the guest\n", vdev,
	       pci.dev_id, VSID);

	step("Stage 1, the guest's, in its memory");
	cd = build_stage1(&s1);

	step("vSTEs as nested HWPTs");
	abort_hwpt = alloc_nested(fd, viommu, "abort", smmuv3_ste_abort());
	bypass = alloc_nested(fd, viommu, "bypass", smmuv3_ste_bypass());
	nested = alloc_nested(fd, viommu, "stage 1", smmuv3_ste_s1(cd));

	step("DMA through stage 1 and stage 2");
	attach(nested, "stage 1 over stage 2");
	expect(EDU_MOVED, edu_fill(&edu), "device buffer filled");
	expect_dma(GUEST_VA, "VA", PAGE_A);
	expect(EDU_BLOCKED, edu_write(&edu, page_ipa(PAGE_A), page_ptr(PAGE_A)),
	       "DMA write at VA %#llx, which stage 1 does not have",
	       page_ipa(PAGE_A));

	step("The guest remaps VA %#llx to IPA %#llx", GUEST_VA,
	     page_ipa(PAGE_B));
	must(smmuv3_s1_map(&s1, GUEST_VA, page_ipa(PAGE_B), 4096, S1_RW),
	     "remapping");
	printf("   until its TLBI the device may use either page\n");
	send_command(fd, viommu, "TLBI_NH_VA",
		     smmuv3_tlbi_nh_va(ASID, GUEST_VA, true));
	expect_dma(GUEST_VA, "VA", PAGE_B);

	step("The device goes where stage 1 has nothing: the guest hears of it");
	show_event(fd, viommu);

	step("MSI while stage 1 is the guest's");
	efd = eventfd(0, EFD_CLOEXEC);
	if (efd < 0)
		die("eventfd: %s", strerror(errno));
	must(vfio_pci_set_msi(&pci, efd), "VFIO_DEVICE_SET_IRQS");
	expect_msi(efd, "through stage 1 and stage 2");

	step("Bypass: the guest's SMMU is off, stage 2 remains");
	attach(bypass, "bypass");
	expect_dma(page_ipa(PAGE_A), "IPA", PAGE_A);
	expect_msi(efd, "through stage 2");

	step("Abort: the device is cut off");
	attach(abort_hwpt, "abort");
	expect(EDU_BLOCKED, edu_write(&edu, page_ipa(PAGE_A), page_ptr(PAGE_A)),
	       "DMA write at IPA %#llx", page_ipa(PAGE_A));
	expect(EDU_BLOCKED, edu_write(&edu, GUEST_VA, page_ptr(PAGE_B)),
	       "DMA write at VA %#llx", GUEST_VA);
	must(edu_try_read(&edu, page_ipa(PAGE_A), page_ptr(PAGE_A)),
	     "DMA read");
	attach(nested, "stage 1 over stage 2, to look at the device's buffer");
	expect(EDU_BLOCKED, edu_check_read(&edu, page_ptr(PAGE_A)),
	       "DMA read  at IPA %#llx while it was cut off", page_ipa(PAGE_A));
	expect_dma(GUEST_VA, "VA", PAGE_B);

	step("The guest goes, in the order that the objects hold each other");
	must(vfio_pci_set_msi(&pci, -1), "VFIO_DEVICE_SET_IRQS");
	must(vfio_pci_detach(&pci), "VFIO_DEVICE_DETACH_IOMMUFD_PT");
	must(iommufd_destroy(fd, nested), "IOMMU_DESTROY of a nested HWPT");
	must(iommufd_destroy(fd, bypass), "IOMMU_DESTROY of a nested HWPT");
	must(iommufd_destroy(fd, abort_hwpt), "IOMMU_DESTROY of a nested HWPT");
	must(iommufd_destroy(fd, vdev), "IOMMU_DESTROY of the vDEVICE");
	must(iommufd_destroy(fd, viommu), "IOMMU_DESTROY of the vIOMMU");
	must(iommufd_destroy(fd, s2), "IOMMU_DESTROY of the nest parent");

	step("No guest: page tables of the kernel's by parameters");
	show_stages(fd);
	vfio_pci_close(&pci);
	close(fd);
	printf("\nAll as it should be.\n");
	return 0;
}
