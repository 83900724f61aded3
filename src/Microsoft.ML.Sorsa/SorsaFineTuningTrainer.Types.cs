using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa;

/// <content>The options that say in which types a model computes and is kept.</content>
public sealed partial class SorsaFineTuningTrainer
{
    public sealed partial class Options
    {
        /// <summary>
        /// What the model computes in. Default <see cref="WeightType.Float32"/>; the adapters train in float32 in any case. The paper's
        /// runs use <see cref="WeightType.BFloat16"/>. That pays on GPUs, and on processors that multiply bfloat16 themselves: with AMX, or
        /// with AVX512-BF16. Other x64 processors multiply it in float32: the weights take half the memory, a step up to a tenth longer.
        /// For models of small matrices it is nowhere faster.
        /// <see cref="WeightType.Auto"/> looks, and says in ML.NET's log what it chose and why. docs/types.md has figures.
        /// </summary>
        [OptionDefined]
        public WeightType ComputeType { get; set; } = WeightType.Float32;

        /// <summary>
        /// Lets a GPU multiply the model's float32 matrices in TF32, forward and backward: 10 bits of mantissa of each factor, several
        /// times as fast. Default false; the paper trains with it. Decomposition, regularizer, optimizer and merge stay in full float32. On
        /// a CPU, and for bfloat16, it changes nothing; on a CPU a warning says so. It is a setting of the process, which is put back
        /// behind each forward and backward pass: what other threads compute on a GPU meanwhile is computed so as well.
        /// </summary>
        public bool AllowTf32 { get; set; }

        /// <summary>
        /// What zip and folder hold. Default <see cref="WeightType.Checkpoint"/>: what the model was stored in; not
        /// <see cref="WeightType.Auto"/>. The fitted model computes with the weights so rounded. (Where <see cref="ComputeType"/> is the
        /// narrower of the two, what is saved has its precision.)
        /// </summary>
        [OptionDefined]
        public WeightType SavedType { get; set; } = WeightType.Checkpoint;
    }
}
