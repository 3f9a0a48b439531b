// SPDX-License-Identifier: GPL-2.0
/*
 * vfio without iommufd: type1 containers, and those that iommufd emulates.
 * Besides assertions, each test prints its results in lines that depend only on
 * the kernel and the machine. A diff compares two kernels.
 */
#include "vfio_utils.h"

/* Beyond the input range of any SMMUv3 */
#define BEYOND_IOVA	(1ULL << 60)

FIXTURE(type1v2)
{
	struct container c;
	/* A read-only page, and an unmapped one */
	void *ro;
	void *hole;
};

FIXTURE_VARIANT(type1v2)
{
	const char *name;
	enum container_kind kind;
};

FIXTURE_VARIANT_ADD(type1v2, type1)
{
	.name = "type1",
	.kind = CONTAINER_TYPE1,
};

FIXTURE_VARIANT_ADD(type1v2, iommufd)
{
	.name = "iommufd",
	.kind = CONTAINER_IOMMUFD,
};

FIXTURE_SETUP(type1v2)
{
	const char *why = container_why_not(variant->kind);
	struct container *c = &self->c;

	if (why)
		SKIP(return, "%s", why);
	container_init(_metadata, c, variant->kind);
	self->ro = mmap(NULL, c->page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	ASSERT_NE(MAP_FAILED, self->ro);
	self->hole = mmap(NULL, c->page, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->hole);
}

FIXTURE_TEARDOWN(type1v2)
{
	munmap(self->hole, self->c.page);
	munmap(self->ro, self->c.page);
	container_close(&self->c);
}

/* ---- Printing of results ---- */

#define SAY(_fmt, ...)							\
	ksft_print_msg("%s, %s: " _fmt "\n", variant->name,		\
		       _metadata->name, ##__VA_ARGS__)

static const char *ret_name(int ret)
{
	return ret < 0 ? strerror(-ret) : "done";
}

static const char *dma_name(enum edu_result result)
{
	static const char * const names[] = {
		[EDU_MOVED] = "moved",
		[EDU_BLOCKED] = "blocked",
		[EDU_GARBLED] = "garbled",
		[EDU_NO_MBOX] = "no mailbox",
		[EDU_STUCK] = "stuck",
	};

	return names[result];
}

/* Print the result of the call, then FACT_IS() */
#define SAY_IS(_want, _what, _call)					\
	do {								\
		int _ret = (_call);					\
									\
		SAY("%s: %d, %s", _what, _ret, ret_name(_ret));		\
		FACT_IS(_want, _ret);					\
	} while (0)

#define SAY_DMA(_want, _what, _call)					\
	do {								\
		enum edu_result _result = (_call);			\
									\
		SAY("%s: %s", _what, dma_name(_result));		\
		FACT_IS(_want, _result);				\
	} while (0)

#define SAY_DMA_AT(_c, _i, _want_write, _want_read, _what)		\
	do {								\
		struct container *_at = (_c);				\
		void *_p = container_page(_at, _i);			\
		__u64 _iova = DATA_IPA + (_p - _at->data);		\
		const char *_text = (_what);				\
									\
		SAY("%s", _text);					\
		SAY_DMA(_want_write, "device writes",			\
			edu_write(&_at->dev.edu, _iova, _p));		\
		SAY_DMA(_want_read, "device reads",			\
			edu_read(&_at->dev.edu, _iova, _p));		\
	} while (0)

/* ---- Opening ---- */

#define NR_EXTENSIONS	11

static void say_extensions(struct __test_metadata *_metadata,
			   const FIXTURE_VARIANT(type1v2) * variant,
			   struct container *c, const char *when)
{
	unsigned int i;

	for (i = 1; i <= NR_EXTENSIONS; i++) {
		/* May differ between kernels: see vfio_nesting */
		if (i == __VFIO_RESERVED_TYPE1_NESTING_IOMMU)
			continue;
		SAY("%s, extension %u: %d", when, i,
		    vfio_container_check_extension(c->fd, i));
	}
	FACT_IS(1, vfio_container_check_extension(c->fd, VFIO_TYPE1_IOMMU));
	FACT_IS(1, vfio_container_check_extension(c->fd, VFIO_TYPE1v2_IOMMU));
	FACT_IS(1, vfio_container_check_extension(c->fd, VFIO_UNMAP_ALL));
	FACT_IS(0, vfio_container_check_extension(c->fd, VFIO_EEH));
	FACT_IS(0, vfio_container_check_extension(c->fd, NR_EXTENSIONS));
}

TEST_F(type1v2, extensions)
{
	struct container *c = &self->c;

	say_extensions(_metadata, variant, c, "empty");
	FACT(vfio_group_set_container(c->group, c->fd));
	say_extensions(_metadata, variant, c, "group");
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	say_extensions(_metadata, variant, c, "set");
	container_open_dev(_metadata, c);
	say_extensions(_metadata, variant, c, "device");
}

TEST_F(type1v2, open)
{
	bool type1 = variant->kind == CONTAINER_TYPE1;
	struct container *c = &self->c;

	SAY_IS(0, "API version",
	       iommufd_cmd(c->fd, VFIO_GET_API_VERSION, NULL));
	SAY_IS(type1 ? -EINVAL : -ENODEV, "set without a group",
	       vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	SAY_IS(-EINVAL, "device without a container",
	       vfio_group_open_device(c->group, &c->dev.pci));
	FACT(vfio_group_set_container(c->group, c->fd));
	SAY_IS(-EINVAL, "group in two containers",
	       vfio_group_set_container(c->group, c->fd));
	SAY_IS(type1 ? -ENODEV : -EINVAL, "set SPAPR_TCE",
	       vfio_container_set_iommu(c->fd, VFIO_SPAPR_TCE_IOMMU));
	SAY_IS(type1 ? -ENODEV : -EINVAL, "set NOIOMMU",
	       vfio_container_set_iommu(c->fd, VFIO_NOIOMMU_IOMMU));
	SAY_IS(type1 ? -ENODEV : -EINVAL, "set DMA_CC, which is no type",
	       vfio_container_set_iommu(c->fd, VFIO_DMA_CC_IOMMU));
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	SAY_IS(type1 ? -EINVAL : 0, "set again",
	       vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	container_open_dev(_metadata, c);
	SAY_IS(type1 ? -EBUSY : 0, "group leaves before its device",
	       vfio_group_unset_container(c->group));
}

/* A type1 container loses everything with its last group */
TEST_F(type1v2, reopen)
{
	struct container *c = &self->c;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	FACT(container_map(c, 0, 1, MAP_RW));
	SAY_DMA_AT(c, 0, EDU_MOVED, EDU_MOVED, "before");
	guest_dev_close(&c->dev);
	FACT(vfio_group_unset_container(c->group));
	FACT(vfio_group_set_container(c->group, c->fd));
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	container_open_dev(_metadata, c);
	if (variant->kind == CONTAINER_TYPE1) {
		SAY_IS(0, "map as before", container_map(c, 0, 1, MAP_RW));
		FACT(container_map(c, NR_DATA - 1, 1, MAP_RW));
	} else {
		/* An IOAS exists until the iommufd is closed */
		SAY_IS(-EEXIST, "map as before",
		       container_map(c, 0, 1, MAP_RW));
	}
	dma_prime(&c->dev);
	SAY_DMA_AT(c, 0, EDU_MOVED, EDU_MOVED, "after");
}

/* ---- VFIO_IOMMU_GET_INFO ---- */

union info {
	struct vfio_iommu_type1_info head;
	__u8 bytes[1024];
};

/* The capability at @at, checked to be inside; NULL at the end */
static struct vfio_info_cap_header *info_cap(union info *info, __u32 at)
{
	if (!at || at < sizeof(info->head) || at % 8 ||
	    at + sizeof(struct vfio_info_cap_header) > info->head.argsz)
		return NULL;
	return (void *)info->bytes + at;
}

static bool in_ranges(const struct vfio_iommu_type1_info_cap_iova_range *cap,
		      __u64 iova)
{
	unsigned int i;

	for (i = 0; i < cap->nr_iovas; i++)
		if (iova >= cap->iova_ranges[i].start &&
		    iova <= cap->iova_ranges[i].end)
			return true;
	return false;
}

static void say_info(struct __test_metadata *_metadata,
		     const FIXTURE_VARIANT(type1v2) * variant,
		     struct container *c, const char *when)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges = NULL;
	struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info_dma_avail *avail = NULL;
	struct vfio_info_cap_header *cap;
	union info info;
	unsigned int i;

	FACT(vfio_container_get_info(c->fd, &info, sizeof(info)));
	SAY("%s: argsz %u flags %#x page sizes %#llx", when, info.head.argsz,
	    info.head.flags, info.head.iova_pgsizes);
	ASSERT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
		  info.head.flags);
	ASSERT_TRUE(info.head.iova_pgsizes & c->page);
	ASSERT_EQ(sizeof(info.head), info.head.cap_offset);

	/* type1 returns argsz unchanged, so follow the chain to its end */
	for (cap = info_cap(&info, info.head.cap_offset); cap;
	     cap = info_cap(&info, cap->next)) {
		SAY("%s: capability %u version %u next %u", when, cap->id,
		    cap->version, cap->next);
		ASSERT_EQ(1, cap->version);
		switch (cap->id) {
		case VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE:
			ranges = (void *)cap;
			for (i = 0; i < ranges->nr_iovas; i++)
				SAY("%s: IOVA %#llx to %#llx", when,
				    ranges->iova_ranges[i].start,
				    ranges->iova_ranges[i].end);
			break;
		case VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION:
			migration = (void *)cap;
			SAY("%s: migration flags %#x page sizes %#llx bitmap %#llx",
			    when, migration->flags, migration->pgsize_bitmap,
			    migration->max_dirty_bitmap_size);
			break;
		case VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL:
			avail = (void *)cap;
			SAY("%s: %u mappings left", when, avail->avail);
			break;
		default:
			ASSERT_EQ(0, cap->id);
		}
	}
	ASSERT_NE(NULL, ranges);
	ASSERT_NE(NULL, avail);
	ASSERT_TRUE(in_ranges(ranges, DATA_IPA));
	ASSERT_FALSE(in_ranges(ranges, MSI_WINDOW));
	ASSERT_FALSE(in_ranges(ranges, MSI_WINDOW + MSI_WINDOW_SIZE - 1));
	ASSERT_FALSE(in_ranges(ranges, BEYOND_IOVA));
}

TEST_F(type1v2, info)
{
	const __u32 least = offsetof(struct vfio_iommu_type1_info, cap_offset);
	struct container *c = &self->c;
	union info info;

	FACT(vfio_group_set_container(c->group, c->fd));
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	container_open_dev(_metadata, c);
	say_info(_metadata, variant, c, "empty");
	FACT(container_map(c, 0, 1, MAP_RW));
	FACT(container_map(c, 2, 1, MAP_RW));
	say_info(_metadata, variant, c, "two mappings");
	FACT(container_unmap(c, 0, 1));
	say_info(_metadata, variant, c, "one mapping");

	SAY_IS(-EINVAL, "argsz too small",
	       vfio_container_get_info(c->fd, &info, least - 1));
	SAY_IS(0, "least argsz", vfio_container_get_info(c->fd, &info, least));
	SAY("least argsz: argsz %u flags %#x page sizes %#llx",
	    info.head.argsz, info.head.flags, info.head.iova_pgsizes);
	SAY_IS(0, "no room for capabilities",
	       vfio_container_get_info(c->fd, &info, sizeof(info.head)));
	SAY("no room for capabilities: argsz %u flags %#x offset %u",
	    info.head.argsz, info.head.flags, info.head.cap_offset);
	ASSERT_LT(sizeof(info.head), info.head.argsz);
	ASSERT_EQ(0, info.head.cap_offset);
}

/* ---- Mapping ---- */

TEST_F(type1v2, map_refused)
{
	const int wrap = variant->kind == CONTAINER_TYPE1 ? EINVAL : EOVERFLOW;
	struct container *c = &self->c;
	void *va = c->data;
	__u64 page = c->page;
	const struct {
		const char *what;
		const void *va;
		__u64 size;
		__u64 iova;
		__u32 flags;
		int error;
	} cases[] = {
		{ "no bytes", va, 0, DATA_IPA, MAP_RW, EINVAL },
		{ "half a page", va, page / 2, DATA_IPA, MAP_RW, EINVAL },
		{ "unaligned IOVA", va, page, DATA_IPA + 8, MAP_RW, EINVAL },
		{ "unaligned address", va + 8, page, DATA_IPA, MAP_RW, EINVAL },
		{ "unknown flag", va, page, DATA_IPA, MAP_RW | 1U << 31,
		  EINVAL },
		{ "new address with access", va, page, DATA_IPA,
		  MAP_RW | VFIO_DMA_MAP_FLAG_VADDR, EINVAL },
		{ "IOVA wraps", va, 2 * page, -page, MAP_RW, wrap },
		{ "address wraps", (void *)-page, 2 * page, DATA_IPA, MAP_RW,
		  wrap },
		{ "beyond all IOVAs", va, page, BEYOND_IOVA, MAP_RW, EINVAL },
		{ "start of the MSI window", va, page, MSI_WINDOW, MAP_RW,
		  EINVAL },
		{ "end of the MSI window", va, page,
		  MSI_WINDOW + MSI_WINDOW_SIZE - page, MAP_RW, EINVAL },
		{ "into the MSI window", va, 2 * page, MSI_WINDOW - page,
		  MAP_RW, EINVAL },
		{ "no memory", self->hole, page, DATA_IPA, MAP_RW, EFAULT },
		{ "writes to read-only memory", self->ro, page, DATA_IPA,
		  MAP_RW, EFAULT },
		{ "same again", va, page, container_iova(c, 8), MAP_RW,
		  EEXIST },
		{ "across the start", va, 2 * page, container_iova(c, 7),
		  MAP_RW, EEXIST },
		{ "across the end", va, 2 * page, container_iova(c, 10),
		  MAP_RW, EEXIST },
		{ "inside", va, page, container_iova(c, 9), MAP_RW, EEXIST },
		{ "around", va, 5 * page, container_iova(c, 7), MAP_RW,
		  EEXIST },
	};
	struct vfio_iommu_type1_dma_map small = { .flags = MAP_RW };
	unsigned int i;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	FACT(container_map(c, 8, 3, MAP_RW));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		SAY_IS(-cases[i].error, cases[i].what,
		       vfio_container_map(c->fd, cases[i].va, cases[i].size,
					  cases[i].iova, cases[i].flags));
	small.argsz = sizeof(small) - 1;
	SAY_IS(-EINVAL, "argsz too small",
	       iommufd_cmd(c->fd, VFIO_IOMMU_MAP_DMA, &small));
	SAY_IS(variant->kind == CONTAINER_TYPE1 ? -ENOENT : -EINVAL,
	       "new address for nothing",
	       vfio_container_map(c->fd, va, page, DATA_IPA,
				  VFIO_DMA_MAP_FLAG_VADDR));

	/* Refused calls left no mapping and broke none */
	say_info(_metadata, variant, c, "after");
	SAY_DMA_AT(c, 0, EDU_BLOCKED, EDU_BLOCKED, "refused");
	SAY_DMA_AT(c, 8, EDU_MOVED, EDU_MOVED, "there before");
	SAY_IS(0, "the refused place", container_map(c, 0, 8, MAP_RW));
	SAY_DMA_AT(c, 7, EDU_MOVED, EDU_MOVED, "the refused place");
}

/* type1 refuses this itself, iommufd because the page tables refuse it */
TEST_F(type1v2, map_no_access)
{
	struct container *c = &self->c;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	SAY_IS(-EINVAL, "no access", container_map(c, 0, 1, 0));
	SAY_DMA_AT(c, 0, EDU_BLOCKED, EDU_BLOCKED, "no access");
}

TEST_F(type1v2, map_read_write)
{
	struct container *c = &self->c;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	SAY_IS(0, "one page", container_map(c, 0, 1, MAP_RW));
	SAY_IS(0, "five pages", container_map(c, 2, 5, MAP_RW));
	SAY_DMA_AT(c, 0, EDU_MOVED, EDU_MOVED, "one page");
	SAY_DMA_AT(c, 1, EDU_BLOCKED, EDU_BLOCKED, "between");
	SAY_DMA_AT(c, 2, EDU_MOVED, EDU_MOVED, "first of five");
	SAY_DMA_AT(c, 6, EDU_MOVED, EDU_MOVED, "last of five");
	SAY_DMA_AT(c, 7, EDU_BLOCKED, EDU_BLOCKED, "behind");
}

TEST_F(type1v2, map_read_only)
{
	struct container *c = &self->c;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	SAY_IS(0, "read-only", container_map(c, 0, 1, MAP_READ));
	SAY_DMA_AT(c, 0, EDU_BLOCKED, EDU_MOVED, "read-only");
	SAY_IS(0, "of read-only memory",
	       vfio_container_map(c->fd, self->ro, c->page,
				  container_iova(c, 1), MAP_READ));
}

/*
 * Stage 1 has no write-only entries: writable means readable. Stage 2 has them;
 * VFIO_TYPE1_NESTING_IOMMU was meant to select it.
 */
TEST_F(type1v2, map_write_only)
{
	const char *stage = getenv("SMMUV3_STAGE");
	struct container *c = &self->c;
	bool stage2;

	if (!stage)
		SKIP(return, "SMMUV3_STAGE (nested, 1 or 2) does not say what the SMMU has");
	stage2 = !strcmp(stage, "2");
	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	SAY_IS(0, "write-only", container_map(c, 0, 1, MAP_WRITE));
	SAY_DMA_AT(c, 0, EDU_MOVED, stage2 ? EDU_BLOCKED : EDU_MOVED,
		   "write-only");
}

TEST_F(type1v2, map_huge)
{
	struct container *c = &self->c;
	const size_t size = 2 << 20;
	void *va = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u64 iova = DATA_IPA + 16 * size;
	__u64 unmapped = 2 * size;

	ASSERT_NE(MAP_FAILED, va);
	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	SAY_IS(0, "4 MiB", vfio_container_map(c->fd, va, 2 * size, iova,
					      MAP_RW));
	SAY_DMA(EDU_MOVED, "at its start",
		edu_write(&c->dev.edu, iova, va));
	SAY_DMA(EDU_MOVED, "at its end",
		edu_read(&c->dev.edu, iova + 2 * size - c->page,
			 va + 2 * size - c->page));
	SAY_IS(0, "unmap", vfio_container_unmap(c->fd, iova, &unmapped, 0));
	ASSERT_EQ(2 * size, unmapped);
	SAY_DMA(EDU_BLOCKED, "after",
		edu_write(&c->dev.edu, iova + size, va + size));
	munmap(va, 2 * size);
}

/* ---- Unmapping ---- */

TEST_F(type1v2, unmap)
{
	struct container *c = &self->c;
	__u64 page = c->page;
	/* Pages 0 to 3 and pages 6 to 7 are one mapping each */
	const struct {
		const char *what;
		__u64 iova;
		__u64 size;
		__u32 flags;
		int error[NR_CONTAINERS];
		__u64 unmapped;
	} cases[] = {
		{ "no bytes", DATA_IPA, 0, 0, { EINVAL, EINVAL } },
		{ "half a page", DATA_IPA, page / 2, 0, { EINVAL, ENOENT } },
		{ "unaligned IOVA", DATA_IPA + 8, page, 0, { EINVAL, ENOENT } },
		{ "wraps", -page, 2 * page, 0, { EINVAL, EOVERFLOW } },
		{ "unknown flag", DATA_IPA, 4 * page, 1U << 31,
		  { EINVAL, EINVAL } },
		{ "bitmap without tracking", DATA_IPA, 4 * page,
		  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, { EINVAL, EINVAL } },
		{ "all, with an IOVA", DATA_IPA, 0, VFIO_DMA_UNMAP_FLAG_ALL,
		  { EINVAL, EINVAL } },
		{ "all, with a size", 0, page, VFIO_DMA_UNMAP_FLAG_ALL,
		  { EINVAL, EINVAL } },
		{ "head", container_iova(c, 0), page, 0, { EINVAL, ENOENT } },
		{ "middle", container_iova(c, 1), 2 * page, 0,
		  { EINVAL, ENOENT } },
		{ "tail", container_iova(c, 3), page, 0, { EINVAL, ENOENT } },
		{ "into the second", container_iova(c, 4), 3 * page, 0,
		  { EINVAL, ENOENT } },
		{ "nothing", container_iova(c, 4), 2 * page, 0, { 0, 0 }, 0 },
		{ "more than the second", container_iova(c, 5), 4 * page, 0,
		  { 0, 0 }, 2 * page },
		{ "the second again", container_iova(c, 6), 2 * page, 0,
		  { 0, 0 }, 0 },
		{ "the first", container_iova(c, 0), 4 * page, 0,
		  { 0, 0 }, 4 * page },
	};
	struct vfio_iommu_type1_dma_unmap small = { .size = 4 * page };
	unsigned int i;
	__u64 size;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	FACT(container_map(c, 0, 4, MAP_RW));
	FACT(container_map(c, 6, 2, MAP_RW));
	small.argsz = sizeof(small) - 1;
	SAY_IS(-EINVAL, "argsz too small",
	       iommufd_cmd(c->fd, VFIO_IOMMU_UNMAP_DMA, &small));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		int error = cases[i].error[variant->kind];

		size = cases[i].size;
		SAY_IS(-error, cases[i].what,
		       vfio_container_unmap(c->fd, cases[i].iova, &size,
					    cases[i].flags));
		SAY("%s: %#llx bytes", cases[i].what, size);
		if (error) {
			SAY_DMA_AT(c, 2, EDU_MOVED, EDU_MOVED, "still there");
			continue;
		}
		ASSERT_EQ(cases[i].unmapped, size);
	}
	for (i = 0; i < 8; i++)
		SAY_DMA_AT(c, i, EDU_BLOCKED, EDU_BLOCKED, "gone");
}

TEST_F(type1v2, unmap_several)
{
	struct container *c = &self->c;
	__u64 size = 8 * c->page;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	FACT(container_map(c, 0, 1, MAP_RW));
	FACT(container_map(c, 1, 2, MAP_READ));
	FACT(container_map(c, 6, 2, MAP_RW));
	SAY_IS(0, "three mappings and holes",
	       vfio_container_unmap(c->fd, DATA_IPA, &size, 0));
	SAY("three mappings and holes: %#llx bytes", size);
	ASSERT_EQ(5 * c->page, size);
	SAY_DMA_AT(c, 0, EDU_BLOCKED, EDU_BLOCKED, "first");
	SAY_DMA_AT(c, 7, EDU_BLOCKED, EDU_BLOCKED, "last");
	SAY_IS(0, "map again", container_map(c, 0, 8, MAP_RW));
	SAY_DMA_AT(c, 0, EDU_MOVED, EDU_MOVED, "first");
	SAY_DMA_AT(c, 7, EDU_MOVED, EDU_MOVED, "last");
}

TEST_F(type1v2, unmap_all)
{
	struct container *c = &self->c;
	__u64 size = 0;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	FACT(container_map(c, 0, 4, MAP_RW));
	FACT(container_map(c, 6, 2, MAP_READ));
	SAY_IS(0, "all", vfio_container_unmap(c->fd, 0, &size,
					      VFIO_DMA_UNMAP_FLAG_ALL));
	SAY("all: %#llx bytes", size);
	/* Including the mailbox */
	ASSERT_EQ(7 * c->page, size);
	/* The mailbox is needed to check the read */
	dma_try_read(&c->dev, DATA_IPA, c->data);
	FACT(container_map(c, NR_DATA - 1, 1, MAP_RW));
	dma_nothing_was_read(&c->dev, c->data);
	SAY_DMA_AT(c, 3, EDU_BLOCKED, EDU_BLOCKED, "first");
	SAY_DMA_AT(c, 6, EDU_BLOCKED, EDU_BLOCKED, "last");
	FACT(container_unmap(c, NR_DATA - 1, 1));
	size = 0;
	SAY_IS(0, "all of nothing",
	       vfio_container_unmap(c->fd, 0, &size, VFIO_DMA_UNMAP_FLAG_ALL));
	SAY("all of nothing: %#llx bytes", size);
	ASSERT_EQ(0, size);
}

/* ---- Dirty pages: no such ioctl on iommufd's container ---- */

static int dirty_pages(struct container *c, __u32 flag, __u64 *bitmap)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.head = { .argsz = sizeof(cmd), .flags = flag },
		.get = {
			.iova = DATA_IPA,
			.size = NR_DATA * c->page,
			.bitmap = {
				.pgsize = c->page,
				.size = sizeof(*bitmap),
				.data = bitmap,
			},
		},
	};

	return iommufd_cmd(c->fd, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

TEST_F(type1v2, dirty_pages)
{
	const bool type1 = variant->kind == CONTAINER_TYPE1;
	struct container *c = &self->c;
	__u64 bitmap = 0;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	FACT(container_map(c, 0, 4, MAP_RW));
	SAY_IS(type1 ? -EINVAL : -ENOTTY, "get before start",
	       dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, &bitmap));
	SAY_IS(type1 ? 0 : -ENOTTY, "start",
	       dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START, &bitmap));
	SAY_IS(type1 ? 0 : -ENOTTY, "get",
	       dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, &bitmap));
	/* DMA writes are not tracked, so all pages that can be dirty are */
	SAY("get: %#llx", bitmap);
	ASSERT_EQ(type1 ? 0x800f : 0, bitmap);
	SAY_IS(type1 ? 0 : -ENOTTY, "stop",
	       dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, &bitmap));
	SAY_DMA_AT(c, 0, EDU_MOVED, EDU_MOVED, "after");
}

/* ---- MSIs, v1, groups ---- */

TEST_F(type1v2, msi)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	struct container *c = &self->c;
	unsigned int i;

	ASSERT_LE(0, efd);
	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	SAY_IS(0, "route", vfio_pci_set_msi(&c->dev.pci, efd));
	for (i = 0; i < 3; i++) {
		bool arrived = msi_arrives(&c->dev, efd, MSI_WAIT_MSEC);

		SAY("%s", arrived ? "arrived" : "lost");
		ASSERT_TRUE(arrived);
	}
	FACT(container_map(c, 0, 1, MAP_RW));
	SAY_DMA_AT(c, 0, EDU_MOVED, EDU_MOVED, "beside DMA");
	SAY_IS(0, "disable", vfio_pci_set_msi(&c->dev.pci, -1));
	close(efd);
}

/*
 * v1 allows to unmap a part of a mapping. type1 unmaps the whole mapping if the
 * range contains its start, otherwise nothing. iommufd maps by small pages and
 * unmaps exactly the range.
 */
TEST_F(type1v2, v1)
{
	const bool type1 = variant->kind == CONTAINER_TYPE1;
	struct container *c = &self->c;
	__u64 size;

	container_start(_metadata, c, VFIO_TYPE1_IOMMU);
	say_info(_metadata, variant, c, "v1");
	SAY_IS(0, "map", container_map(c, 0, 4, MAP_RW));
	SAY_IS(-EEXIST, "map again", container_map(c, 1, 1, MAP_RW));
	SAY_DMA_AT(c, 0, EDU_MOVED, EDU_MOVED, "head");
	SAY_DMA_AT(c, 2, EDU_MOVED, EDU_MOVED, "middle");

	size = c->page;
	SAY_IS(0, "unmap the middle",
	       vfio_container_unmap(c->fd, container_iova(c, 2), &size, 0));
	SAY("unmap the middle: %#llx bytes", size);
	ASSERT_EQ(type1 ? 0 : c->page, size);
	if (type1)
		SAY_DMA_AT(c, 2, EDU_MOVED, EDU_MOVED, "middle");
	else
		SAY_DMA_AT(c, 2, EDU_BLOCKED, EDU_BLOCKED, "middle");
	SAY_DMA_AT(c, 1, EDU_MOVED, EDU_MOVED, "before it");
	SAY_DMA_AT(c, 3, EDU_MOVED, EDU_MOVED, "behind it");

	size = c->page;
	SAY_IS(0, "unmap the head",
	       vfio_container_unmap(c->fd, container_iova(c, 0), &size, 0));
	SAY("unmap the head: %#llx bytes", size);
	ASSERT_EQ(type1 ? 4 * c->page : c->page, size);
	SAY_DMA_AT(c, 0, EDU_BLOCKED, EDU_BLOCKED, "head");
	if (type1)
		SAY_DMA_AT(c, 3, EDU_BLOCKED, EDU_BLOCKED, "tail");
	else
		SAY_DMA_AT(c, 3, EDU_MOVED, EDU_MOVED, "tail");
}

/* A second group joins a container and shares its mappings */
TEST_F(type1v2, two_groups)
{
	const char *why = guest_dev_why_not(1);
	struct container *c = &self->c;
	struct guest_dev dev = { };
	int group;

	if (why)
		SKIP(return, "%s", why);
	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	FACT(container_map(c, 0, 4, MAP_RW));

	FACT(vfio_pci_find(&dev.pci, EDU_VENDOR, EDU_DEVICE, 1));
	FACT(vfio_pci_take(&dev.pci));
	group = vfio_group_open(&dev.pci);
	ASSERT_LE(0, group);
	SAY_IS(0, "join", vfio_group_set_container(group, c->fd));
	group_open_dev(_metadata, c, group, &dev, 0);
	dma_prime(&dev);
	SAY_DMA(EDU_MOVED, "second device, mapped before",
		edu_write(&dev.edu, container_iova(c, 1),
			  container_page(c, 1)));
	FACT(container_map(c, 4, 1, MAP_RW));
	SAY_DMA(EDU_MOVED, "second device, mapped after",
		edu_read(&dev.edu, container_iova(c, 4),
			 container_page(c, 4)));
	FACT(container_unmap(c, 4, 1));
	SAY_DMA(EDU_BLOCKED, "second device, unmapped",
		edu_write(&dev.edu, container_iova(c, 4),
			  container_page(c, 4)));
	say_info(_metadata, variant, c, "two groups");

	guest_dev_close(&dev);
	SAY_IS(0, "leave", vfio_group_unset_container(group));
	close(group);
	SAY_DMA_AT(c, 1, EDU_MOVED, EDU_MOVED, "the first device stays");
	SAY_DMA_AT(c, 4, EDU_BLOCKED, EDU_BLOCKED, "and has no more");
}

/* Functions that are not isolated share a group */
TEST_F(type1v2, shared_group)
{
	const char *why = guest_dev_why_not(3);
	struct container *c = &self->c;
	struct guest_dev dev[2] = { };
	unsigned int i;
	int group;

	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < 2; i++) {
		FACT(vfio_pci_find(&dev[i].pci, EDU_VENDOR, EDU_DEVICE, 2 + i));
		FACT(vfio_pci_take(&dev[i].pci));
	}
	if (!guest_dev_same_group(&dev[0], &dev[1]))
		SKIP(return, "no two edu devices that share a group");
	group = vfio_group_open(&dev[0].pci);
	ASSERT_LE(0, group);
	SAY_IS(-EBUSY, "open the group again", vfio_group_open(&dev[1].pci));
	FACT(vfio_group_set_container(group, c->fd));
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < 2; i++) {
		group_open_dev(_metadata, c, group, &dev[i], i);
		FACT(container_map(c, i, 1, MAP_RW));
		dma_prime(&dev[i]);
	}
	FACT(container_map(c, 2, 1, MAP_RW));
	for (i = 0; i < 2; i++)
		SAY_DMA(EDU_MOVED, "mapped",
			edu_write(&dev[i].edu, container_iova(c, 2),
				  container_page(c, 2)));
	guest_dev_close(&dev[0]);
	SAY_DMA(EDU_MOVED, "without the other device",
		edu_read(&dev[1].edu, container_iova(c, 2),
			 container_page(c, 2)));
	FACT(container_unmap(c, 2, 1));
	SAY_DMA(EDU_BLOCKED, "unmapped",
		edu_write(&dev[1].edu, container_iova(c, 2),
			  container_page(c, 2)));
	guest_dev_close(&dev[1]);
	close(group);
}

TEST_HARNESS_MAIN
