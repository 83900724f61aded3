using Microsoft.ML.Sorsa.Adapters;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// What the end of a training takes, in bytes: the report on each matrix, the copy of the adapters for a file of their own, and the merge,
/// which gives every target a weight of its own.
/// </summary>
internal sealed class MergeMemory(ModelSizes model)
{
    private readonly long _savedSize = ModelSizes.Size(model.SavedType);

    /// <summary>
    /// The report has a matrix before and after, rounded and back, what rounding lost, the update and magnitudes, all in float32, and the
    /// update's Gram matrix; before that the two products in working precision.
    /// </summary>
    public long Report(AdaptedShape shape)
    {
        long single = AdaptedShape.TrainedSize, smaller = Math.Min(shape.Out, shape.In);
        long rounded = _savedSize < single ? _savedSize + single : 0;
        return Math.Max(
            shape.Count * ((5 * single) + rounded) + (smaller * smaller * single),
            shape.Count * (shape.WorkingSize + (3 * single)));
    }

    /// <summary>The product in working precision, beside it the frozen weight and the sum in float32.</summary>
    public static long Merge(AdaptedShape shape) => shape.Count * (shape.WorkingSize + (2 * AdaptedShape.TrainedSize));

    /// <summary>A weight rounded to the type that is saved, and back, and compared.</summary>
    public long Round(long[] shape) => _savedSize < model.TypeSize ? ModelSizes.Count(shape) * (_savedSize + model.TypeSize + 1) : 0;
}
