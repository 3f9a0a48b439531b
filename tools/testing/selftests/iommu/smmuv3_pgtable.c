// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel-owned page tables with a geometry chosen by user space. A request
 * succeeds, as the bytes of the device prove, or fails with an errno. The
 * expected geometries follow from the ID registers and the kernel's page size,
 * so the tests work on any SMMU.
 */

#include "smmuv3_utils.h"
#include "lib/cgroup.h"

#define PGTABLE		IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE
#define NEST_PARENT	IOMMU_HWPT_ALLOC_NEST_PARENT
#define DIRTY_TRACKING	IOMMU_HWPT_ALLOC_DIRTY_TRACKING

/* Minimum without small translation tables, which the driver does not use */
#define LEAST_BITS	25
/* Limits of the architecture for input sizes */
#define ARCH_LEAST_BITS	16
#define ARCH_MOST_BITS	56

/* Within the smallest aperture, and on separate pages of any size */
#define MBOX_IOVA	0x100000ULL
#define LOW_IOVA	0x200000ULL
#define OTHER_IOVA	0x300000ULL

/*
 * @has_stage: stages in the ID registers: [1], [2], and [0] for either
 * @oas: output address size of the SMMU in bits
 * @ioas: an IOAS with all memory within the smallest aperture
 */
FIXTURE(pgtable)
{
	struct vm vm;
	struct guest_dev dev;
	bool has_stage[3];
	unsigned int oas;
	__u32 ioas;
	__u32 hwpt;
};

/* Short name for struct iommu_hwpt_arm_smmuv3_pgtable */
struct shape {
	__u32 flags;
	__u32 stage;
	__u32 input_bits;
	__u32 output_bits;
	__u32 granule_shift;
	__u32 reserved;
};

/* Appended to a fact about a shape */
#define LOG_SHAPE(_shape)	log_shape(_metadata, &(_shape))

static void log_shape(struct __test_metadata *_metadata,
		      const struct shape *shape)
{
	TH_LOG("stage %u, input %u, output %u, granule %u, flags %#x, reserved %#x",
	       shape->stage, shape->input_bits, shape->output_bits,
	       shape->granule_shift, shape->flags, shape->reserved);
}

static int alloc_data(struct _test_data_pgtable *self, __u32 pt, __u32 flags,
		      __u32 type, const void *data, __u32 len)
{
	return iommufd_hwpt_alloc_data(self->vm.fd, self->dev.id, pt, flags,
				       type, data, len, &self->hwpt);
}

static int alloc_shape(struct _test_data_pgtable *self, __u32 pt, __u32 flags,
		       struct shape shape)
{
	struct iommu_hwpt_arm_smmuv3_pgtable data = {
		.flags = shape.flags,
		.stage = shape.stage,
		.input_bits = shape.input_bits,
		.output_bits = shape.output_bits,
		.granule_shift = shape.granule_shift,
		.reserved = shape.reserved,
	};

	return alloc_data(self, pt, flags, PGTABLE, &data, sizeof(data));
}

static void alloc_shape_is(struct __test_metadata *_metadata,
			   struct _test_data_pgtable *self, int ret, __u32 ioas,
			   __u32 flags, struct shape shape)
{
	FACT_IS(ret, alloc_shape(self, ioas, flags, shape))
		LOG_SHAPE(shape);
}

#define test_shape(_ioas, _flags, _shape)				\
	alloc_shape_is(_metadata, self, 0, _ioas, _flags, _shape)
#define test_err_shape(_errno, _ioas, _flags, _shape)			\
	alloc_shape_is(_metadata, self, -(_errno), _ioas, _flags, _shape)

/* ---- IOASes ---- */

static int map_page(struct vm *vm, __u32 ioas, unsigned int i, __u64 iova,
		    __u32 prot)
{
	return iommufd_ioas_map(vm->fd, ioas, vm_page(vm, i), vm->page, iova,
				prot);
}

/* An IOAS with the mailbox and data page 0 at low addresses */
static __u32 low_ioas(struct __test_metadata *_metadata, struct vm *vm)
{
	__u32 ioas;

	FACT(iommufd_ioas_alloc(vm->fd, &ioas));
	FACT(map_page(vm, ioas, NR_DATA - 1, MBOX_IOVA, READABLE | WRITEABLE));
	FACT(map_page(vm, ioas, 0, LOW_IOVA, READABLE | WRITEABLE));
	return ioas;
}

/* All results of IOMMU_IOAS_IOVA_RANGES, for memcmp() */
struct space {
	__u64 alignment;
	__u64 num;
	struct iommu_iova_range ranges[8];
};

static int get_space(struct vm *vm, __u32 ioas, struct space *space)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = ARRAY_SIZE(space->ranges),
		.allowed_iovas = (uintptr_t)space->ranges,
	};
	int ret;

	memset(space, 0, sizeof(*space));
	ret = iommufd_cmd(vm->fd, IOMMU_IOAS_IOVA_RANGES, &cmd);
	space->alignment = cmd.out_iova_alignment;
	space->num = cmd.num_iovas;
	return ret;
}

/* Size in bits, if the space is one range from 0 */
static unsigned int space_bits(const struct space *space)
{
	__u64 last = space->ranges[0].last;

	if (space->num != 1 || space->ranges[0].start || !last ||
	    (last & (last + 1)))
		return 0;
	return 64 - __builtin_clzll(last);
}

/* Get the IOVA ranges with the HWPT, then destroy the HWPT */
#define test_space(_ioas, _space)					\
do {									\
	FACT(get_space(&self->vm, _ioas, _space));			\
	test_destroy(self->vm.fd, self->hwpt);				\
} while (0)

/* ---- Expectations of this machine ---- */

static bool has_granule(const struct _test_data_pgtable *self,
			unsigned int shift)
{
	return (self->dev.info.idr[5] & (IDR5_GRAN4K << (shift - 12) / 2)) &&
	       1UL << shift <= self->vm.page;
}

/*
 * Maximum input size of a stage, or 0 if the SMMU lacks the stage. Ask the
 * kernel, since stage 1 also depends on the kernel's address size.
 */
static unsigned int most_bits(struct __test_metadata *_metadata,
			      struct _test_data_pgtable *self,
			      unsigned int stage, unsigned int granule_shift)
{
	struct shape shape = { .stage = stage, .granule_shift = granule_shift };
	unsigned int cut = has_granule(self, 16) &&
			   (!granule_shift || granule_shift == 16) ? 52 : 48;
	struct space space;
	__u32 ioas;

	if (!self->has_stage[stage] ||
	    (granule_shift && !has_granule(self, granule_shift)))
		return 0;
	FACT(iommufd_ioas_alloc(self->vm.fd, &ioas));
	test_shape(ioas, 0, shape);
	test_space(ioas, &space);
	test_destroy(self->vm.fd, ioas);
	if (stage == 2) {
		ASSERT_EQ(self->oas < cut ? self->oas : cut,
			  space_bits(&space));
	}
	if (stage == 1 && !smmuv3_get(IDR5_VAX, self->dev.info.idr[5]))
		ASSERT_GE(48, space_bits(&space));
	ASSERT_LT(LEAST_BITS, space_bits(&space));
	return space_bits(&space);
}

FIXTURE_SETUP(pgtable)
{
	static const unsigned int oas[] = { 32, 36, 40, 42, 44, 48, 52 };
	const char *why = guest_init(_metadata, &self->vm, &self->dev, 0);
	__u64 encoded;

	if (why)
		SKIP(return, "%s", why);

	self->has_stage[0] = true;
	self->has_stage[1] = self->dev.info.idr[0] & IDR0_S1P;
	self->has_stage[2] = self->dev.info.idr[0] & IDR0_S2P;
	encoded = smmuv3_get(IDR5_OAS, self->dev.info.idr[5]);
	ASSERT_GT(ARRAY_SIZE(oas), encoded);
	self->oas = oas[encoded];

	self->ioas = low_ioas(_metadata, &self->vm);
	self->dev.edu.mbox_iova = MBOX_IOVA;
}

FIXTURE_TEARDOWN(pgtable)
{
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

/* ---- Supported geometries ---- */

/*
 * QEMU 10 does not concatenate stage 2 start tables: it uses the first table
 * for all of them, so IOVAs repeat. Its SMMU has no implementer (IIDR); any
 * other SMMU must translate correctly.
 *
 * Return: end of the distinct IOVAs on this SMMU, at most @end
 */
static __u64 end_of_walk(struct __test_metadata *_metadata,
			 struct _test_data_pgtable *self, struct shape shape,
			 __u64 end)
{
	const __u64 one_table = 1ULL << 39;

	if (shape.stage != 2 || shape.granule_shift != 12 || end <= one_table ||
	    end > 16 * one_table)
		return end;
	/* No IOVA is mapped there */
	if (edu_write(&self->dev.edu, one_table + LOW_IOVA,
		      vm_page(&self->vm, 0)) != EDU_MOVED)
		return end;
	TH_LOG("stage 2, %u bits: this SMMU does not concatenate tables",
	       shape.input_bits);
	ASSERT_EQ(0, self->dev.info.iidr);
	return one_table;
}

/* The device reaches the first and the last byte, and none beyond */
static void check_shape(struct __test_metadata *_metadata,
			struct _test_data_pgtable *self, struct shape shape)
{
	const __u64 granule = 1ULL << shape.granule_shift;
	__u64 end = 1ULL << shape.input_bits;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	/* Last granule of data page 1 */
	void *p = vm_page(vm, 2) - granule;
	const int fd = vm->fd;
	struct space before, space;
	__u32 ioas;

	ioas = low_ioas(_metadata, vm);
	FACT(map_page(vm, ioas, 2, 0, READABLE | WRITEABLE));
	FACT(get_space(vm, ioas, &before));
	test_shape(ioas, 0, shape);

	FACT(get_space(vm, ioas, &space));
	ASSERT_EQ(shape.input_bits, space_bits(&space))
		LOG_SHAPE(shape);
	ASSERT_EQ(granule, space.alignment)
		LOG_SHAPE(shape);

	REFUSED(EINVAL, iommufd_ioas_map(fd, ioas, p, granule,
					 OTHER_IOVA + granule / 2, WRITEABLE));
	REFUSED(EINVAL, iommufd_ioas_map(fd, ioas, p, granule / 2, OTHER_IOVA,
					 WRITEABLE));
	REFUSED(EINVAL, iommufd_ioas_map(fd, ioas, p, granule, end, WRITEABLE));
	REFUSED(EINVAL, iommufd_ioas_map(fd, ioas, p, 2 * granule,
					 end - granule, WRITEABLE));
	FACT(iommufd_ioas_map(fd, ioas, p, granule, end - granule, WRITEABLE))
		LOG_SHAPE(shape);
	FACT(iommufd_ioas_unmap(fd, ioas, end - granule, granule));

	test_attach(dev, self->hwpt);
	dma_reads(dev, 0, vm_page(vm, 2))
		LOG_SHAPE(shape);
	end = end_of_walk(_metadata, self, shape, end);
	FACT(iommufd_ioas_map(fd, ioas, p, granule, end - granule, WRITEABLE));
	dma_writes(dev, end - EDU_DMA_LEN, p + granule - EDU_DMA_LEN)
		LOG_SHAPE(shape);
	/* The invalidation uses the granule, so the TLB entry is gone, too */
	FACT(iommufd_ioas_unmap(fd, ioas, end - granule, granule));
	dma_write_blocked(dev, end - EDU_DMA_LEN, p + granule - EDU_DMA_LEN)
		LOG_SHAPE(shape);

	test_detach(dev);
	test_destroy(fd, self->hwpt);
	FACT(get_space(vm, ioas, &space));
	ASSERT_EQ(0, memcmp(&before, &space, sizeof(space)))
		LOG_SHAPE(shape);
	test_destroy(fd, ioas);
}

static void check_shapes(struct __test_metadata *_metadata,
			 struct _test_data_pgtable *self, unsigned int stage,
			 unsigned int granule_shift)
{
	/* At stage 2, sizes from 40 to 43 start with concatenated tables */
	static const unsigned int bits[] = { LEAST_BITS, 30, 32, 36, 39, 40, 41,
					     42, 43 };
	unsigned int most = most_bits(_metadata, self, stage, granule_shift);
	struct shape shape = { .stage = stage, .granule_shift = granule_shift };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		shape.input_bits = bits[i];
		if (bits[i] < most)
			check_shape(_metadata, self, shape);
		else if (bits[i] > most)
			test_err_shape(EOPNOTSUPP, self->ioas, 0, shape);
	}
	if (most) {
		shape.input_bits = most;
		check_shape(_metadata, self, shape);
	}
}

/* Separate tests, since each may take 30 s */
TEST_F(pgtable, stage1_4k)
{
	check_shapes(_metadata, self, 1, 12);
}

TEST_F(pgtable, stage1_16k)
{
	check_shapes(_metadata, self, 1, 14);
}

TEST_F(pgtable, stage1_64k)
{
	check_shapes(_metadata, self, 1, 16);
}

TEST_F(pgtable, stage2_4k)
{
	check_shapes(_metadata, self, 2, 12);
}

TEST_F(pgtable, stage2_16k)
{
	check_shapes(_metadata, self, 2, 14);
}

TEST_F(pgtable, stage2_64k)
{
	check_shapes(_metadata, self, 2, 16);
}

/* A request of zeros is the same as no parameters */
TEST_F(pgtable, whatever)
{
	struct space plain, shaped, least;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct shape shape = {};

	test_hwpt_alloc(vm->fd, dev->id, self->ioas, 0, &self->hwpt);
	test_space(self->ioas, &plain);
	test_shape(self->ioas, 0, shape);
	test_space(self->ioas, &shaped);
	ASSERT_EQ(0, memcmp(&plain, &shaped, sizeof(plain)));
	if (has_granule(self, __builtin_ctzl(vm->page)))
		ASSERT_EQ(vm->page, shaped.alignment);

	/* Stage 1 if the SMMU has it, as the read permission shows */
	test_shape(self->ioas, 0, shape);
	FACT(map_page(vm, self->ioas, 1, OTHER_IOVA, WRITEABLE));
	test_attach(dev, self->hwpt);
	dma_prime(dev);
	dma_writes(dev, OTHER_IOVA, vm_page(vm, 1));
	if (self->has_stage[1])
		dma_reads(dev, OTHER_IOVA, vm_page(vm, 1));
	else
		dma_read_blocked(dev, OTHER_IOVA, vm_page(vm, 1));
	test_detach(dev);
	test_destroy(vm->fd, self->hwpt);

	/* A requested size holds for any choice of the rest */
	shape.input_bits = LEAST_BITS;
	test_shape(self->ioas, 0, shape);
	test_space(self->ioas, &least);
	ASSERT_EQ(LEAST_BITS, space_bits(&least));

	if (!self->has_stage[1] || !self->has_stage[2])
		return;
	/* For a nest parent, a request of zeros means stage 2 */
	shape.input_bits = 0;
	test_hwpt_alloc(vm->fd, dev->id, self->ioas, NEST_PARENT, &self->hwpt);
	test_space(self->ioas, &plain);
	test_shape(self->ioas, NEST_PARENT, shape);
	test_space(self->ioas, &shaped);
	ASSERT_EQ(0, memcmp(&plain, &shaped, sizeof(plain)));
	ASSERT_EQ(most_bits(_metadata, self, 2, 0), space_bits(&shaped));
}

static void check_permissions(struct __test_metadata *_metadata,
			      struct _test_data_pgtable *self,
			      unsigned int stage)
{
	struct shape shape = { .stage = stage, .input_bits = 36 };
	const __u64 w = OTHER_IOVA, r = OTHER_IOVA + 2 * self->vm.page;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	if (!self->has_stage[stage])
		SKIP(return, "the SMMU has no stage %u", stage);
	FACT(map_page(vm, self->ioas, 1, w, WRITEABLE));
	FACT(map_page(vm, self->ioas, 2, r, READABLE));
	test_shape(self->ioas, 0, shape);
	test_attach(dev, self->hwpt);
	dma_prime(dev);
	dma_writes(dev, w, vm_page(vm, 1));
	if (stage == 1)
		dma_reads(dev, w, vm_page(vm, 1));
	else
		dma_read_blocked(dev, w, vm_page(vm, 1));
	dma_reads(dev, r, vm_page(vm, 2));
	dma_write_blocked(dev, r, vm_page(vm, 2));
}

TEST_F(pgtable, stage1_permissions)
{
	check_permissions(_metadata, self, 1);
}

TEST_F(pgtable, stage2_permissions)
{
	check_permissions(_metadata, self, 2);
}

/* A smaller nest parent supports everything that the default one does */
TEST_F(pgtable, nest_parent)
{
	struct shape shape = {
		.stage = 2,
		.input_bits = 40,
		.granule_shift = 12,
	};
	const __u64 beyond = GUEST_VA + 0x100000;
	const char *why = smmuv3_why_no_nesting(&self->dev.info);
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	if (why)
		SKIP(return, "%s", why);
	dev->edu.mbox_iova = vm_ipa(vm, NR_DATA - 1);
	test_shape(vm->ioas, NEST_PARENT, shape);
	vm->s2 = self->hwpt;
	test_viommu_alloc(vm->fd, dev->id, vm->s2, &vm->viommu);
	/* A vIOMMU takes no other kernel-owned page table */
	test_err_shape(EINVAL, vm->viommu, 0, shape);
	test_err_shape(EOPNOTSUPP, vm->s2, 0, shape);

	guest_dev_stage1(_metadata, dev, vm, ASID, 0);
	FACT(smmuv3_s1_map(&dev->s1, beyond, 1ULL << shape.input_bits, 4096,
			   S1_RW));
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	dma_reads(dev, GUEST_VA, vm_page(vm, 0));
	dma_write_blocked(dev, beyond, vm_page(vm, 0));

	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
	test_ioas_map(vm, 1, vm_ipa(vm, 0), READABLE | WRITEABLE);
	dma_writes(dev, GUEST_VA, vm_page(vm, 1));
}

/* ---- Output addresses ---- */

/* End of memory; the tables can be anywhere below */
static __u64 memory_end(void)
{
	FILE *f = fopen("/proc/iomem", "re");
	unsigned long long start, last;
	char line[128];
	__u64 end = 0;

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " : System RAM") &&
		    sscanf(line, "%llx-%llx", &start, &last) == 2 && last > end)
			end = last;
	if (f)
		fclose(f);
	return end;
}

static void check_output(struct __test_metadata *_metadata,
			 struct _test_data_pgtable *self, unsigned int stage)
{
	static const unsigned int bits[] = { 32, 36, 40, 42, 44, 48, 52 };
	struct shape shape = { .stage = stage };
	unsigned int most = self->oas;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	void *p = vm_page(vm, 0);
	__u64 end = memory_end();
	struct space space;
	unsigned int i;
	__u32 ioas;

	ASSERT_NE(0, end);
	if (most > 48 && !has_granule(self, 16))
		most = 48;
	FACT(iommufd_ioas_alloc(vm->fd, &ioas));
	FACT(iommufd_ioas_map(vm->fd, ioas, p, vm->page, MBOX_IOVA,
			      READABLE | WRITEABLE));
	dev->edu.mbox = p;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		shape.input_bits = 0;
		shape.output_bits = bits[i];
		if (!self->has_stage[stage] || bits[i] > most ||
		    end >> bits[i]) {
			test_err_shape(EOPNOTSUPP, ioas, 0, shape);
			continue;
		}
		if (stage == 2) {
			/* The IPA size is at most the output size */
			shape.input_bits = bits[i] + 1;
			test_err_shape(EOPNOTSUPP, ioas, 0, shape);
			shape.input_bits = 0;
		}
		test_shape(ioas, 0, shape);
		FACT(get_space(vm, ioas, &space));
		if (stage == 2)
			ASSERT_EQ(0, space.ranges[space.num - 1].last >>
				     bits[i]);
		test_attach(dev, self->hwpt);
		dma_prime(dev)
			LOG_SHAPE(shape);
		dma_writes(dev, MBOX_IOVA + EDU_DMA_LEN, p + EDU_DMA_LEN)
			LOG_SHAPE(shape);
		test_detach(dev);
		test_destroy(vm->fd, self->hwpt);
	}
}

TEST_F_TIMEOUT(pgtable, stage1_output, 120)
{
	check_output(_metadata, self, 1);
}

TEST_F_TIMEOUT(pgtable, stage2_output, 120)
{
	check_output(_metadata, self, 2);
}

/* ---- Input addresses ---- */

/* A mapping beyond the aperture is an error, not a smaller page table */
TEST_F(pgtable, mapped_beyond)
{
	struct shape shape = { .input_bits = 30 };
	const __u64 beyond = 1ULL << 30;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct space before, space;

	FACT(map_page(vm, self->ioas, 1, beyond, READABLE | WRITEABLE));
	FACT(get_space(vm, self->ioas, &before));
	test_err_shape(EADDRINUSE, self->ioas, 0, shape);
	FACT(get_space(vm, self->ioas, &space));
	ASSERT_EQ(0, memcmp(&before, &space, sizeof(space)));

	shape.input_bits = 31;
	test_shape(self->ioas, 0, shape);
	test_attach(dev, self->hwpt);
	dma_prime(dev);
	dma_writes(dev, beyond, vm_page(vm, 1));
	test_detach(dev);
	test_destroy(vm->fd, self->hwpt);

	shape.input_bits = 30;
	FACT(iommufd_ioas_unmap(vm->fd, self->ioas, beyond, vm->page));
	test_shape(self->ioas, 0, shape);
	test_destroy(vm->fd, self->hwpt);
	/* The failure left no reference to the IOAS */
	test_destroy(vm->fd, self->ioas);
}

/* If one block would fill the aperture, the walk starts at a lower level */
TEST_F(pgtable, block_of_the_aperture)
{
	static const struct {
		unsigned int granule_shift;
		unsigned int bits;
	} blocks[] = { { 12, 30 }, { 14, 25 }, { 16, 29 } };
	unsigned int i, stage, tried = 0;
	struct vm *vm = &self->vm;
	__u32 ioas;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		size_t size = 1UL << blocks[i].bits;
		void *p;

		if (!has_granule(self, blocks[i].granule_shift))
			continue;
		p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			 blocks[i].bits << MAP_HUGE_SHIFT, -1, 0);
		if (p == MAP_FAILED)
			continue;
		tried++;
		for (stage = 1; stage <= 2; stage++) {
			struct shape shape = {
				.stage = stage,
				.input_bits = blocks[i].bits,
				.granule_shift = blocks[i].granule_shift,
			};

			if (!self->has_stage[stage])
				continue;
			FACT(iommufd_ioas_alloc(vm->fd, &ioas));
			test_shape(ioas, 0, shape);
			FACT(iommufd_ioas_map(vm->fd, ioas, p, size, 0,
					      READABLE | WRITEABLE))
				LOG_SHAPE(shape);
			test_destroy(vm->fd, self->hwpt);
			test_destroy(vm->fd, ioas);
		}
		munmap(p, size);
	}
	if (!tried)
		SKIP(return, "no huge pages of that size: hugepagesz=1G hugepages=1");
}

/* ---- MSIs ---- */

static void check_msi(struct __test_metadata *_metadata, struct guest_dev *dev,
		      struct vm *vm, int efd)
{
	dma_writes(dev, LOW_IOVA, vm_page(vm, 0));
	ASSERT_TRUE(msi_arrives(dev, efd, MSI_WAIT_MSEC));
}

/* A page table without room for the doorbell refuses devices with MSIs */
TEST_F(pgtable, msi_window_beyond)
{
	/* The window starts at 2^27 */
	static const unsigned int small[] = { LEAST_BITS, 26, 27 };
	int efd = eventfd(0, EFD_CLOEXEC);
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	unsigned int i, other, stage;
	__u32 hwpt, ioas;

	ASSERT_LE(0, efd);
	ioas = low_ioas(_metadata, vm);
	test_hwpt_alloc(vm->fd, dev->id, self->ioas, 0, &hwpt);
	test_attach(dev, hwpt);
	dma_prime(dev);
	FACT(vfio_pci_set_msi(&dev->pci, efd));
	check_msi(_metadata, dev, vm, efd);

	for (stage = 1; stage <= 2; stage++) {
		struct shape shape = { .stage = stage };

		if (!self->has_stage[stage])
			continue;
		for (i = 0; i < ARRAY_SIZE(small); i++) {
			/* On the same IOAS and on another one */
			for (other = 0; other < 2; other++) {
				shape.input_bits = small[i];
				test_shape(other ? ioas : self->ioas, 0, shape);
				test_err_attach(ENOSPC, dev, self->hwpt)
					LOG_SHAPE(shape);
				test_destroy(vm->fd, self->hwpt);
			}
		}
		check_msi(_metadata, dev, vm, efd);

		shape.input_bits = 28;
		test_shape(ioas, 0, shape);
		test_attach(dev, self->hwpt);
		check_msi(_metadata, dev, vm, efd);
		test_attach(dev, hwpt);
		test_destroy(vm->fd, self->hwpt);
	}
	FACT(vfio_pci_set_msi(&dev->pci, -1));
	close(efd);
}

/* ---- Refused geometries ---- */

TEST_F(pgtable, malformed)
{
	static const struct shape bad[] = {
		{ .stage = 3 },
		{ .stage = 1U << 31 },
		{ .stage = ~0U },
		{ .input_bits = 1 },
		{ .input_bits = 8 },
		{ .input_bits = ARCH_LEAST_BITS - 1 },
		{ .input_bits = ARCH_MOST_BITS + 1 },
		{ .input_bits = 64 },
		{ .input_bits = ~0U },
		{ .output_bits = 1 },
		{ .output_bits = 31 },
		{ .output_bits = 33 },
		{ .output_bits = 47 },
		{ .output_bits = 64 },
		{ .output_bits = ~0U },
		{ .granule_shift = 1 },
		{ .granule_shift = 11 },
		{ .granule_shift = 13 },
		{ .granule_shift = 15 },
		{ .granule_shift = 17 },
		{ .granule_shift = ~0U },
	};
	struct shape whatever = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		test_err_shape(EINVAL, self->ioas, 0, bad[i]);
	for (i = 0; i < 32; i++) {
		struct shape flags = { .flags = 1U << i };
		struct shape reserved = { .reserved = 1U << i };

		test_err_shape(EOPNOTSUPP, self->ioas, 0, flags);
		test_err_shape(EOPNOTSUPP, self->ioas, 0, reserved);
	}
	test_shape(self->ioas, 0, whatever);
}

/* First version of the struct; part of the ABI */
#define LEN	24

TEST_F(pgtable, length)
{
	const long page = self->vm.page;
	__u8 data[64] = {};
	unsigned int i;

#define test_len(_len)							\
do {									\
	FACT(alloc_data(self, self->ioas, 0, PGTABLE, data, _len));	\
	test_destroy(self->vm.fd, self->hwpt);				\
} while (0)
#define test_err_len(_errno, _len)					\
	REFUSED(_errno,							\
		alloc_data(self, self->ioas, 0, PGTABLE, data, _len))

	ASSERT_EQ(LEN, sizeof(struct iommu_hwpt_arm_smmuv3_pgtable));
	for (i = 0; i < LEN; i++)
		test_err_len(EINVAL, i) TH_LOG("length %u", i);
	test_len(LEN);
	test_len(sizeof(data));
	for (i = LEN; i < sizeof(data); i++) {
		data[i] = 1;
		test_len(i);
		test_err_len(E2BIG, i + 1) TH_LOG("length %u", i + 1);
		data[i] = 0;
	}

	REFUSED(EFAULT, alloc_data(self, self->ioas, 0, PGTABLE, (void *)8,
				   LEN));
	REFUSED(EFAULT, alloc_data(self, self->ioas, 0, PGTABLE, NULL,
				   LEN));
	REFUSED(E2BIG, alloc_data(self, self->ioas, 0, PGTABLE, data,
				  page + 1));
}

TEST_F(pgtable, data_type)
{
	static const __u32 bad[] = { IOMMU_HWPT_DATA_VTD_S1,
				     IOMMU_HWPT_DATA_ARM_SMMUV3, 3, PGTABLE - 1,
				     PGTABLE + 1, 1U << 31, ~0U };
	struct iommu_hwpt_arm_smmuv3_pgtable data = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		REFUSED(EOPNOTSUPP, alloc_data(self, self->ioas, 0, bad[i],
					       &data, sizeof(data)))
			TH_LOG("type %#x", bad[i]);
	REFUSED(EINVAL, alloc_data(self, self->ioas, 0, IOMMU_HWPT_DATA_NONE,
				   &data, sizeof(data)));
}

TEST_F(pgtable, not_here)
{
	struct shape shape;
	unsigned int bits, stage, most;
	static const unsigned int granules[] = { 12, 14, 16 };
	static const unsigned int output[] = { 48, 52, 56 };

	for (stage = 0; stage <= 2; stage++) {
		shape = (struct shape){ .stage = stage };
		if (!self->has_stage[stage]) {
			test_err_shape(EOPNOTSUPP, self->ioas, 0, shape);
			continue;
		}
		/* With both stages, stage 0 means the larger one */
		most = most_bits(_metadata, self, stage, 0);
		if (!stage && self->has_stage[1] && self->has_stage[2]) {
			bits = most_bits(_metadata, self, 2, 0);
			most = bits > most ? bits : most;
		}
		for (bits = ARCH_LEAST_BITS; bits <= ARCH_MOST_BITS; bits++) {
			shape.input_bits = bits;
			if (bits < LEAST_BITS || bits > most) {
				test_err_shape(EOPNOTSUPP, self->ioas, 0,
					       shape);
				continue;
			}
			test_shape(self->ioas, 0, shape);
			test_destroy(self->vm.fd, self->hwpt);
		}

		shape = (struct shape){ .stage = stage };
		for (bits = 0; bits < ARRAY_SIZE(granules); bits++) {
			shape.granule_shift = granules[bits];
			if (!has_granule(self, granules[bits])) {
				test_err_shape(EOPNOTSUPP, self->ioas, 0,
					       shape);
				continue;
			}
			test_shape(self->ioas, 0, shape);
			test_destroy(self->vm.fd, self->hwpt);
		}

		shape = (struct shape){ .stage = stage };
		for (bits = 0; bits < ARRAY_SIZE(output); bits++) {
			shape.output_bits = output[bits];
			if (output[bits] > self->oas)
				test_err_shape(EOPNOTSUPP, self->ioas, 0,
					       shape);
		}
	}
}

TEST_F(pgtable, flags)
{
	static const __u32 bad[] = {
		NEST_PARENT | DIRTY_TRACKING,
		NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID,
		IOMMU_HWPT_FAULT_ID_VALID,
		IOMMU_HWPT_ALLOC_PASID,
		1U << 31,
	};
	struct iommu_hw_info_arm_smmuv3 info;
	__u32 type, len = sizeof(info);
	unsigned int i, stage;
	__u64 caps;

	FACT(iommufd_hw_info(self->vm.fd, self->dev.id, &type, &info, &len,
			     &caps));
	for (stage = 0; stage <= 2; stage++) {
		struct shape shape = { .stage = stage };

		for (i = 0; i < ARRAY_SIZE(bad); i++)
			test_err_shape(EOPNOTSUPP, self->ioas, bad[i], shape);

		if (stage != 1 && self->has_stage[1] && self->has_stage[2])
			test_shape(self->ioas, NEST_PARENT, shape);
		else
			test_err_shape(EOPNOTSUPP, self->ioas, NEST_PARENT,
				       shape);

		if (stage != 2 && self->has_stage[1] &&
		    (caps & IOMMU_HW_CAP_DIRTY_TRACKING))
			test_shape(self->ioas, DIRTY_TRACKING, shape);
		else
			test_err_shape(EOPNOTSUPP, self->ioas, DIRTY_TRACKING,
				       shape);
	}
}

/* ---- Memory ---- */

/* Page tables of user space are charged, those of the kernel are not */
TEST_F(pgtable, charged)
{
	struct vfio_pci other;
	char path[80];
	__u32 ioas;
	long bytes;

	/* Binding a driver gives the device a group, which stays unused here */
	FACT(vfio_pci_find(&other, EDU_VENDOR, EDU_DEVICE, 1));
	FACT(vfio_pci_take(&other));
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu_group/type", other.bdf);
	if (cgroup_enter())
		SKIP(return, "no memory cgroup");
	bytes = cgroup_stat("sec_pagetables");
	ASSERT_LE(0, bytes);
	/* Change the type, since the same type would keep its domain */
	FACT(file_put(path, "identity"));
	FACT(file_put(path, "DMA"));
	EXPECT_EQ(bytes, cgroup_stat("sec_pagetables"));

	/* Without mappings there is only the top level */
	FACT(iommufd_ioas_alloc(self->vm.fd, &ioas));
	test_shape(ioas, 0, (struct shape){});
	EXPECT_LE(bytes + self->vm.page, cgroup_stat("sec_pagetables"));
	test_destroy(self->vm.fd, self->hwpt);
	EXPECT_EQ(bytes, cgroup_stat("sec_pagetables"));
	FACT(cgroup_leave());
}

/* ---- Unused MSIs ---- */

/* A device without MSIs needs no MSI window until it enables them */
TEST_F(pgtable, msi_never_used)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	unsigned int stage;
	struct shape shape;

	ASSERT_LE(0, efd);
	for (stage = 1; stage <= 2; stage++) {
		shape = (struct shape){
			.stage = stage,
			.input_bits = LEAST_BITS,
		};
		if (!self->has_stage[stage])
			continue;
		test_shape(self->ioas, 0, shape);
		test_attach(dev, self->hwpt);
		dma_prime(dev);
		REFUSED(ENOSPC, vfio_pci_set_msi(&dev->pci, efd));
		dma_writes(dev, LOW_IOVA, vm_page(vm, 0));
		test_detach(dev);
		test_destroy(vm->fd, self->hwpt);
	}

	shape = (struct shape){ .input_bits = 28 };
	test_shape(self->ioas, 0, shape);
	test_attach(dev, self->hwpt);
	FACT(vfio_pci_set_msi(&dev->pci, efd));
	check_msi(_metadata, dev, vm, efd);
	FACT(vfio_pci_set_msi(&dev->pci, -1));
	close(efd);
}

TEST_HARNESS_MAIN
