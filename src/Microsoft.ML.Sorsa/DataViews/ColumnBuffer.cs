using System.Reflection;
using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>Some rows of one column, read from the input in order and given out in any.</summary>
internal abstract class ColumnBuffer
{
    /// <summary>A buffer for any type of column: a row's value is a <see cref="VBuffer{T}"/> or of the column's raw type.</summary>
    public static ColumnBuffer Create(DataViewRow input, DataViewSchema.Column column, int capacity)
    {
        (Type definition, Type item) = column.Type is VectorDataViewType vector
            ? (typeof(VectorBuffer<>), vector.ItemType.RawType)
            : (typeof(ScalarBuffer<>), column.Type.RawType);
        const BindingFlags Constructor = BindingFlags.Instance | BindingFlags.Public | BindingFlags.DoNotWrapExceptions;
        Type type = definition.MakeGenericType(item);
        return (ColumnBuffer)Activator.CreateInstance(type, Constructor, null, [input, column, capacity], null)!;
    }

    /// <summary>Takes the value of the input's current row as that of row <paramref name="row"/>.</summary>
    public abstract void Read(int row);

    /// <summary>A <see cref="ValueGetter{TValue}"/> of the row that <paramref name="current"/> names at each call.</summary>
    public abstract Delegate MakeGetter(Func<int> current);
}

/// <inheritdoc cref="ColumnBuffer"/>
internal abstract class ColumnBuffer<T> : ColumnBuffer
{
    public abstract void Get(int row, ref T value);

    public sealed override Delegate MakeGetter(Func<int> current) => (ValueGetter<T>)((ref T value) => Get(current(), ref value));
}

/// <summary>Values that are handed on as they are.</summary>
internal sealed class ScalarBuffer<T>(ValueGetter<T> source, int capacity) : ColumnBuffer<T>
{
    private readonly T[] _values = new T[capacity];

    public ScalarBuffer(DataViewRow input, DataViewSchema.Column column, int capacity)
        : this(input.GetGetter<T>(column), capacity)
    {
    }

    public override void Read(int row)
    {
        // Always a fresh value: a source of objects (images) may dispose the one it finds, which a reader may still hold.
        T value = default!;
        source(ref value);
        _values[row] = value;
    }

    public override void Get(int row, ref T value) => value = _values[row];
}

/// <summary>Vectors: their memory is reused on both sides, so they are copied in and out.</summary>
internal sealed class VectorBuffer<T>(DataViewRow input, DataViewSchema.Column column, int capacity) : ColumnBuffer<VBuffer<T>>
{
    private readonly ValueGetter<VBuffer<T>> _source = input.GetGetter<VBuffer<T>>(column);
    private readonly VBuffer<T>[] _values = new VBuffer<T>[capacity];

    public override void Read(int row) => _source(ref _values[row]);

    public override void Get(int row, ref VBuffer<T> value) => _values[row].CopyTo(ref value);
}
