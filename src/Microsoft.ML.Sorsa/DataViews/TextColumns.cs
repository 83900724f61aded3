using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>Finds the columns of text that a user's options name, or says what is there instead.</summary>
internal static class TextColumns
{
    /// <summary>The column of that name.</summary>
    /// <param name="schema">Of the data that are there.</param>
    /// <param name="option">The option or argument that holds the name; errors name it.</param>
    /// <param name="name">The column's name.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column, or it does not hold one text per row.</exception>
    public static DataViewSchema.Column Find(DataViewSchema schema, string option, string name)
    {
        DataViewSchema.Column? found = schema.GetColumnOrNull(name);
        Check(found is not null, found?.Type.ToString(), found?.Type is TextDataViewType, option, name,
            schema.Where(column => !column.IsHidden).Select(column => $"'{column.Name}' ({column.Type})"));
        return found!.Value;
    }

    /// <summary>The same check before there are data, for <see cref="IEstimator{TTransformer}.GetOutputSchema"/>.</summary>
    /// <inheritdoc cref="Find"/>
    public static void Check(SchemaShape schema, string option, string name)
    {
        bool there = schema.TryFindColumn(name, out SchemaShape.Column found);
        bool text = there && !found.IsKey && found.Kind == SchemaShape.Column.VectorKind.Scalar && found.ItemType is TextDataViewType;
        Check(there, there ? found.GetTypeString() : null, text, option, name,
            schema.Select(column => $"'{column.Name}' ({column.GetTypeString()})"));
    }

    /// <summary>The schema with one column of text more; a column of the same name gives way, as it does in the data.</summary>
    public static SchemaShape Append(SchemaShape schema, string name) => new(
    [
        .. schema.Where(column => column.Name != name),
        new SchemaShape.Column(name, SchemaShape.Column.VectorKind.Scalar, TextDataViewType.Instance, isKey: false),
    ]);

    /// <summary>One column of text alone.</summary>
    public static DataViewSchema Schema(string name)
    {
        var schema = new DataViewSchema.Builder();
        schema.AddColumn(name, TextDataViewType.Instance);
        return schema.ToSchema();
    }

    /// <summary>
    /// Warns of a column that an appended one hides: ML.NET allows it, and whoever reads the column by its name gets the other one.
    /// </summary>
    /// <param name="channel">ML.NET's log.</param>
    /// <param name="schema">Of the data that are there.</param>
    /// <param name="output">The appended column's name.</param>
    public static void WarnOfHidden(IChannel channel, DataViewSchema schema, string output)
    {
        if (schema.GetColumnOrNull(output) is not null)
        {
            channel.Warning(
                MessageSensitivity.Schema,
                $"The data have a column '{output}', which the replies hide: OutputColumnName is '{output}', too. Choose another "
                + "OutputColumnName, or give the column another name in front of the model.");
        }
    }

    private static void Check(bool there, string? type, bool text, string option, string name, IEnumerable<string> columns)
    {
        if (there && text)
        {
            return;
        }

        string problem = there
            ? $"The column '{name}' is of type {type}, but {option} needs a column of text (String), one text per row."
            : $"There is no column '{name}', which {option} names.";
        string[] all = [.. columns];
        string list = all.Length == 0 ? "none" : NameList.Join(all);
        throw new ArgumentOutOfRangeException(
            option,
            name,
            $"{problem} The columns there: {list}. Set {option} to one of type String, or make such a column in front.");
    }
}

/// <summary>Reads the two columns that fine-tuning needs out of any data.</summary>
public static class PromptResponseReader
{
    /// <summary>
    /// The rows' prompts and responses in the order of the data, one row at a time; each enumeration reads the data anew. The columns
    /// are checked at once, before the first row.
    /// </summary>
    /// <param name="data">Any data with the two columns.</param>
    /// <param name="promptColumnName">A column of text.</param>
    /// <param name="responseColumnName">A column of text.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is not there or is not text.</exception>
    public static IEnumerable<(string Prompt, string Response)> Read(IDataView data, string promptColumnName, string responseColumnName) =>
        Read(data, ("PromptColumnName", promptColumnName), ("ResponseColumnName", responseColumnName));

    /// <summary>Any two columns of text, each with the option or argument that names it.</summary>
    internal static IEnumerable<(string First, string Second)> Read(
        IDataView data, (string Option, string Name) first, (string Option, string Name) second)
    {
        return Enumerate(
            data, TextColumns.Find(data.Schema, first.Option, first.Name), TextColumns.Find(data.Schema, second.Option, second.Name));
    }

    private static IEnumerable<(string First, string Second)> Enumerate(
        IDataView data, DataViewSchema.Column firstColumn, DataViewSchema.Column secondColumn)
    {
        using DataViewRowCursor cursor = data.GetRowCursor([firstColumn, secondColumn]);
        var getFirst = cursor.GetGetter<ReadOnlyMemory<char>>(firstColumn);
        var getSecond = cursor.GetGetter<ReadOnlyMemory<char>>(secondColumn);
        ReadOnlyMemory<char> first = default, second = default;
        while (cursor.MoveNext())
        {
            getFirst(ref first);
            getSecond(ref second);
            yield return (first.ToString(), second.ToString());
        }
    }
}
